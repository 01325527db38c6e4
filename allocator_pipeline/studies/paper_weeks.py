"""The paper account of a policy on generated weeks: decided and labelled as the pipeline does it, but in memory."""

from __future__ import annotations

import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.config import CostConfig
from allocator_pipeline.experience.labeling import label
from allocator_pipeline.experience.records import Experience
from allocator_pipeline.experience.transitions import transition
from allocator_pipeline.inference import decide, decision_record, paper_portfolio
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.transition import Transition


def lived_weeks(allocator: str, policy: Allocator, states: StateTensors, costs: CostConfig) -> list[Transition]:
    """Return the labelled experience of all weeks but the last, from cash.

    Parameters
    ----------
    allocator : str
    policy : Allocator
    states : StateTensors
        Successive weeks with known returns.
    costs : CostConfig
    """
    weeks = states.weeks.astype("datetime64[D]").astype(str).tolist()
    later = pd.Timestamp(weeks[-1]) + pd.Timedelta(weeks=2)
    found: list[Transition] = []
    previous: Experience | None = None
    for row, week in enumerate(weeks[:-1]):
        known = states[max(row - 1, 0) : row + 2]
        portfolio = paper_portfolio(previous.decision if previous else None, week, known)
        decision = decision_record(decide(allocator, ("champion", policy), known, week, portfolio, costs))
        labelled = label(decision, previous, known, later, costs)
        assert labelled is not None  # noqa: S101 (its exit has come)
        found.append(transition(decision, labelled, previous))
        previous = Experience(decision, labelled)
    return found
