"""Find champion, newest challenger and last week's accounts for a paper evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.config import CostConfig
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.evaluation.paper import paper_evaluation
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.promotion import champion_for, policy_of


def evaluate_paper_week(
    allocator: str,
    week: str,
    finetunes: Mapping[str, Mapping[str, Any]],
    states: StateTensors,
    store: StoreResource,
    costs: CostConfig,
    earlier: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """Score champion and newest challenger on one labelled week.

    Parameters
    ----------
    allocator, week : str
    finetunes : mapping of str to mapping
        Fine-tuned versions by the week they were made for, up to this week.
    states : StateTensors
        Hold the week.
    store : StoreResource
    costs : CostConfig
    earlier : mapping of str to dict
        Evaluations made in the same run, by partition key; older ones come from the store.

    Returns
    -------
    dict
        As `evaluation.paper.paper_evaluation`.
    """
    _, champion = champion_for(store.verdicts(allocator), store.models, week)
    challenging = [value for _, value in sorted(finetunes.items()) if value["parent"] == champion.version]
    challenger = store.models.load(allocator, challenging[-1]["version"]) if challenging else None
    before = f"{allocator}|{calendar.shift_week(week, -1).date()}"
    previous = earlier.get(before)
    if previous is None and store.assets.has("paper_evaluations", before):
        previous = store.assets.read("paper_evaluations", before)
    return paper_evaluation(
        allocator,
        week,
        (champion.version, policy_of(champion)),
        (challenger.version, policy_of(challenger)) if challenger is not None else None,
        states,
        previous,
        costs,
    )
