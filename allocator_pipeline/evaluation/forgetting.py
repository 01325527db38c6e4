"""What a fine-tune forgets: the fine-tuned policy beside its champion on the weeks before those it was tuned on.

Training on the last weeks alone may cost what was learnt from earlier ones (catastrophic forgetting, McCloskey and
Cohen 1989). Both policies walk the same older weeks, from cash, at the same costs, as they are served and unshrunk:
where nothing of a tilt is served, what is served can forget nothing. Weeks that the champion was trained on are in
sample for both, so that the numbers tell what was lost and not what either is worth. Without such weeks they tell
nothing of what was forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import MIN_JUDGED_WEEKS, CostConfig
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.significance import sharpe_difference
from allocator_pipeline.evaluation.summary import paired_with, signed
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.state import StateTensors

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

FORGETTING_WEEKS = 260
"""The most older weeks that are walked: five years."""

NUMBERS = ("sharpe", "cagr")


def forgetting(
    champion: Policy, finetuned: Policy, states: StateTensors, first_tuned: str, cutoff: str, costs: CostConfig
) -> dict[str, Any]:
    """Compare a fine-tuned policy with its champion on older weeks.

    Parameters
    ----------
    champion, finetuned : Policy
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
        net of costs; ``unshrunk``, the same three with all of either's tilt; ``shares`` of the tilt that are served of
        ``champion`` and ``finetuned``; and ``words``. Without 26 such weeks all between ``in_sample`` and ``shares``
        are None.
    """
    both = {"champion": champion, "finetuned": finetuned}
    shares = {name: one.shrinkage.share for name, one in both.items()}
    older = _older(states, first_tuned)
    count = len(older)
    if count < MIN_JUDGED_WEEKS:
        absent = dict.fromkeys(("first_week", "last_week", "champion", "finetuned", "difference", "unshrunk"))
        words = f"Only {count} older weeks are stored; {MIN_JUDGED_WEEKS} are needed to see what was forgotten."
        return {"weeks": count, "in_sample": 0, **absent, "shares": shares, "words": words}
    weeks = older.weeks.astype("datetime64[D]").astype(str).tolist()
    seen = sum(calendar.week(week)["exit_session"] <= pd.Timestamp(cutoff) for week in weeks)
    served, apart = _compared(both, older, costs)
    unshrunk, apart_unshrunk = _compared({name: one.unshrunk() for name, one in both.items()}, older, costs)
    as_served = (
        f"the fine-tune's Sharpe ratio less its champion's is {_told(apart)} as served"
        if any(shares.values())
        else "nothing of either tilt is served, and both are equal weight"
    )
    return {
        "weeks": count,
        "in_sample": int(seen),
        "first_week": weeks[0],
        "last_week": weeks[-1],
        **served,
        "unshrunk": unshrunk,
        "shares": shares,
        "words": f"On the {count} weeks before those it was tuned on, {as_served}; unshrunk, the difference of Sharpe "
        f"ratios is {_told(apart_unshrunk)}. {_in_sample(int(seen))}, and counts as no try.",
    }


def _compared(
    both: Mapping[str, Policy], older: StateTensors, costs: CostConfig
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Return the numbers of two policies with their difference, and the interval of that of the Sharpe ratios."""
    runs = {name: simulate(one.target_weights, older, costs) for name, one in both.items()}
    measured = {name: metrics(run.net, run.turnover) for name, run in runs.items()}
    found = {name: {key: values[key] for key in NUMBERS} for name, values in measured.items()}
    difference = {key: found["finetuned"][key] - found["champion"][key] for key in NUMBERS}
    return {**found, "difference": difference}, sharpe_difference(runs["finetuned"].net, runs["champion"].net)


def _told(difference: Mapping[str, Any]) -> str:
    """Return a difference with its interval, or that there is none."""
    if paired_with(difference) == "tie":
        return "none, since the two are equal in every week"
    return f"{signed(difference)} (95 %)"


def _in_sample(seen: int) -> str:
    if not seen:
        return "The champion has learnt from none of these weeks: this shows nothing of what was forgotten"
    return f"{seen} of these weeks are in sample for both: this shows what was forgotten, not what either is worth"


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
