"""Champion and challenger side by side on paper: both fixed before a week, both scored once its return is known.

A *stream* is the run of weeks in which successive fine-tunes of one champion challenge it. Champion and challenger each
carry their own holdings from week to week; a stream starts from the champion's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.errors import ConflictError
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.rollout import ALL_CASH, simulate
from allocator_pipeline.portfolio.state import StateTensors


def paper_evaluation(
    allocator: str,
    week: str | pd.Timestamp,
    champion: tuple[str, Allocator],
    challenger: tuple[str, Allocator] | None,
    states: StateTensors,
    previous: Mapping[str, Any] | None,
    costs: CostConfig,
) -> dict[str, Any]:
    """Score one week of champion and challenger.

    Parameters
    ----------
    allocator : str
    week : str or Timestamp
        Its Monday.
    champion : tuple of (str, Allocator)
        Version and policy in force at the week's decision.
    challenger : tuple of (str, Allocator) or None
        Version and policy of the champion's newest fine-tune before the week.
    states : StateTensors
        Hold the week, with its returns known.
    previous : mapping or None
        What this function returned for the week before; ``None`` starts both from cash.
    costs : CostConfig

    Returns
    -------
    dict
        JSON values: ``allocator``, ``week``, ``exit_session``; and ``champion`` and ``challenger`` (or None), each with
        ``version``, ``targets`` (weight by symbol and CASH), ``turnover``, ``cost``, ``gross``, ``net``, ``reward``,
        ``holdings_after`` (true weights at the week's exit) and ``observed_after`` (weights at the next decision).

    Raises
    ------
    NotEnoughDataError
        If the week's returns are not known yet.
    ConflictError
        If ``previous`` is not the week before, or of another allocator.
    """
    row = states.row(week)
    scored, key = states[row : row + 1], str(states.weeks[row])
    if previous is not None:
        before = str(calendar.shift_week(key, -1).date())
        if (previous["allocator"], previous["week"]) != (allocator, before):
            raise ConflictError(
                f"The paper accounts of {previous['allocator']} {previous['week']} do not lead to {allocator} {key}.",
                todo=f"pass the paper evaluation of {before}, or none at the first.",
                week=key,
            )
    incumbent = previous["champion"] if previous is not None else _all_cash()
    record = {
        "allocator": allocator,
        "week": key,
        "exit_session": str(calendar.week(key)["exit_session"].date()),
        "champion": _score(champion, scored, incumbent, costs),
        "challenger": None,
    }
    if challenger is not None:
        account = incumbent
        if previous is not None and previous["challenger"] is not None and incumbent["version"] == champion[0]:
            account = previous["challenger"]  # the stream goes on
        record["challenger"] = _score(challenger, scored, account, costs)
    return record


def _all_cash() -> dict[str, Any]:
    return {"version": None, "holdings_after": dict(ALL_CASH), "observed_after": dict(ALL_CASH)}


def _score(
    contender: tuple[str, Allocator], states: StateTensors, account: Mapping[str, Any], costs: CostConfig
) -> dict[str, Any]:
    version, policy = contender
    run = simulate(policy.target_weights, states, costs, account["holdings_after"], account["observed_after"])
    names = [*run.symbols[0].tolist(), CASH]
    return {
        "version": version,
        "targets": dict(zip(names, run.targets[0].tolist(), strict=True)),
        **{name: float(getattr(run, name)[0]) for name in ("turnover", "cost", "gross", "net", "reward")},
        "holdings_after": run.holdings_after,
        "observed_after": run.observed_after,
    }
