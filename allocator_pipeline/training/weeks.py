"""Which weeks a training may read: those whose last price was known when the first decision it serves is taken."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors


def training_weeks(states: StateTensors, year: int, min_years: int = 10) -> StateTensors:
    """Return the weeks that a policy of a year is trained on: all through it, purged.

    A week stays if it belongs to ``year`` or before, its returns are known, and its exit comes no later than the first
    decision of the next year.

    Parameters
    ----------
    states : StateTensors
        Successive weeks, from the first year there is.
    year : int
        Year of the policy.
    min_years : int
        Calendar years that must be present.

    Raises
    ------
    NotEnoughDataError
        If there are fewer years, or a week between the first and the last is absent or has no return.
    """
    first_decision = calendar.first_decision_of_year(year + 1)
    table = _calendar(states)
    chosen = ((table["year"] <= year) & (table["exit_session"] <= first_decision)).to_numpy()
    kept, table = states[chosen], table[chosen]
    if kept.known.any():
        last = int(np.flatnonzero(kept.known)[-1]) + 1
        kept, table = kept[:last], table.iloc[:last]
    years = table["year"].nunique() if kept.known.any() else 0
    if years < min_years:
        raise NotEnoughDataError(
            f"The policy of {year} has {years} years of weeks to learn from and needs {min_years}.",
            todo=f"materialise state_tensors of {min_years} years up to {year}, or ask for a later year.",
        )
    _refuse_gaps(kept)
    return kept


def recent_weeks(states: StateTensors, week: str | pd.Timestamp, count: int) -> StateTensors:
    """Return the last ``count`` weeks whose exit had come by the decision of a week.

    Raises
    ------
    NotEnoughDataError
        If there are fewer, or one of them is absent or has no return.
    """
    decision = calendar.week(week)["decision_session"]
    kept = states[(_calendar(states)["exit_session"] <= decision).to_numpy()][-count:]
    newest = calendar.weeks(pd.Timestamp(decision) - pd.Timedelta(days=40), decision)
    due = newest[newest["exit_session"] <= decision]["week"].iloc[-1]
    if len(kept) < count or kept.weeks[-1] != np.datetime64(due, "D"):
        raise NotEnoughDataError(
            f"Fine-tuning needs the {count} weeks up to that of {due.date()}, all known by the decision.",
            todo="materialise state_tensors and label those weeks first.",
            week=str(pd.Timestamp(week).date()),
        )
    _refuse_gaps(kept)
    return kept


def last_exit(states: StateTensors) -> str:
    """Return the last session whose price the returns of these weeks read, as ISO text."""
    return str(calendar.week(pd.Timestamp(states.weeks[-1]))["exit_session"].date())


def _calendar(states: StateTensors) -> pd.DataFrame:
    if not len(states):
        return calendar.weeks("2000-01-03", "2000-01-02")
    table = calendar.weeks(pd.Timestamp(states.weeks[0]), pd.Timestamp(states.weeks[-1])).set_index("week")
    mondays = pd.DatetimeIndex(states.weeks).as_unit("us")
    strange = mondays[~mondays.isin(table.index)]
    if len(strange):
        raise NotEnoughDataError(
            "The state tensors hold a week that the exchange calendar does not know.",
            todo="materialise state_tensors again.",
            week=str(strange[0].date()),
        )
    return table.loc[mondays].reset_index()


def _refuse_gaps(states: StateTensors) -> None:
    expected = calendar.weeks(pd.Timestamp(states.weeks[0]), pd.Timestamp(states.weeks[-1]))["week"]
    absent = np.setdiff1d(expected.to_numpy().astype("datetime64[D]"), states.weeks)
    unknown = states.weeks[~states.known]
    for weeks, problem in ((absent, "is absent from the state tensors"), (unknown, "has no return though it is past")):
        if len(weeks):
            raise NotEnoughDataError(
                f"A week among those to train on {problem}.",
                todo="materialise prices to state_tensors of its year again.",
                week=str(weeks[0]),
            )
