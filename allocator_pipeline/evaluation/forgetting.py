"""What a fine-tune forgets: the fine-tuned policy beside its champion on the weeks before those it was tuned on.

Training on the last weeks alone may cost what was learnt from earlier ones (catastrophic forgetting, McCloskey and
Cohen 1989). Both policies walk the same older weeks, from cash, at the same costs. Weeks that the champion was trained
on are in sample for both, so that the numbers tell what was lost and not what either is worth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.config import MIN_JUDGED_WEEKS, CostConfig
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.significance import sharpe_difference
from allocator_pipeline.evaluation.summary import signed
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors

FORGETTING_WEEKS = 260
"""The most older weeks that are walked: five years."""

NUMBERS = ("sharpe", "cagr")


def forgetting(
    champion: Allocator, finetuned: Allocator, states: StateTensors, first_tuned: str, cutoff: str, costs: CostConfig
) -> dict[str, Any]:
    """Compare a fine-tuned policy with its champion on older weeks.

    Parameters
    ----------
    champion, finetuned : Allocator
    states : StateTensors
        Weeks in order; those from ``first_tuned`` on are not read.
    first_tuned : str
        Monday of the first week that the fine-tune was trained on, ISO.
    cutoff : str
        Last session that the champion's training read, ISO.
    costs : CostConfig

    Returns
    -------
    dict
        ``weeks`` (count, 260 at most: the last before the tuned ones that run without a hole and are known),
        ``in_sample`` (how many of them the champion was trained on), ``first_week``, ``last_week`` (ISO Mondays),
        ``champion``, ``finetuned`` and ``difference`` (fine-tuned less champion), each with ``sharpe`` and ``cagr``
        net of costs, and ``words``. Without 26 such weeks the five in the middle are None.
    """
    older = _older(states, first_tuned)
    count = len(older)
    if count < MIN_JUDGED_WEEKS:
        absent = dict.fromkeys(("first_week", "last_week", "champion", "finetuned", "difference"))
        words = f"Only {count} older weeks are stored; {MIN_JUDGED_WEEKS} are needed to see what was forgotten."
        return {"weeks": count, "in_sample": 0, **absent, "words": words}
    runs = {
        name: simulate(one.target_weights, older, costs)
        for name, one in (("champion", champion), ("finetuned", finetuned))
    }
    found = {
        name: {key: values[key] for key in NUMBERS}
        for name, run in runs.items()
        for values in [metrics(run.net, run.turnover)]
    }
    weeks = older.weeks.astype("datetime64[D]").astype(str).tolist()
    seen = sum(calendar.week(week)["exit_session"] <= pd.Timestamp(cutoff) for week in weeks)
    apart = sharpe_difference(runs["finetuned"].net, runs["champion"].net)
    difference = {key: found["finetuned"][key] - found["champion"][key] for key in NUMBERS}
    return {
        "weeks": count,
        "in_sample": int(seen),
        "first_week": weeks[0],
        "last_week": weeks[-1],
        **found,
        "difference": difference,
        "words": f"On the {count} weeks before those it was tuned on, the fine-tune's Sharpe ratio less its champion's "
        f"is {signed(apart)} (95 %). {seen} of these weeks are in sample for both: this shows what was forgotten, not "
        "what either is worth, and counts as no try.",
    }


def _older(states: StateTensors, first_tuned: str) -> StateTensors:
    """Return the last known weeks before a week, back to the first hole."""
    before = states[states.weeks < np.datetime64(first_tuned, "D")]
    if not len(before):
        return before
    expected = calendar.weeks(pd.Timestamp(before.weeks[0]), pd.Timestamp(first_tuned) - pd.Timedelta(days=1))["week"]
    mondays = expected.to_numpy().astype("datetime64[D]")
    there = np.isin(mondays, before.weeks[before.known].astype("datetime64[D]"))
    last_hole = np.flatnonzero(np.r_[True, ~there])[-1]  # in front of the first week there is one
    return before[np.isin(before.weeks.astype("datetime64[D]"), mondays[last_hole:][-FORGETTING_WEEKS:])]
