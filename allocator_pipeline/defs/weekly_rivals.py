"""Baselines and index fund for a weekly report: this week's weights, and what they made of the weeks decided so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from allocator_pipeline.config import BASELINES, STATE_FORECASTERS
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import ConflictError, CorruptArtifactError, MissingPartitionError, NotEnoughDataError
from allocator_pipeline.evaluation.weekly.rivals import (
    INDEX_FUND,
    as_mapping,
    baseline_weeks,
    execution_sessions,
    index_fund_weeks,
)
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors, concatenate

NOT_THERE = (MissingPartitionError, NotEnoughDataError, ConflictError, CorruptArtifactError)
"""What leaves a rival out of the report, which then says why."""


def rivals(
    week: str, known: str, allocators: Sequence[str], store: StoreResource, market: MarketResource
) -> dict[str, Any]:
    """Return what stands beside the allocators.

    Parameters
    ----------
    week, known : str
        The report's week, and the newest whose outcome is known at its decision.
    allocators : sequence of str
        Those that are shown.
    store : StoreResource
    market : MarketResource

    Returns
    -------
    dict
        ``weeks``, from the first that any of them decided to ``known``, and ``sessions``, their executions and the
        last exit; ``net`` returns of these weeks by name, from cash at the first; ``target`` weights of the report's
        week by baseline; ``absent``: name -> ``net`` or ``target`` -> why it is not there; ``damaged``, what cannot be
        trusted of what is stored, in words.
    """
    weeks = _weeks(known, allocators, store)
    found: dict[str, Any] = {"weeks": weeks, "sessions": [], "net": {}, "target": {}, "absent": {}, "damaged": []}

    def damaged(error: CorruptArtifactError) -> None:
        if str(error) not in found["damaged"]:
            found["damaged"].append(str(error))

    def make(kind: str, name: str, value: Callable[[], Any]) -> None:
        try:
            found[kind][name] = value()
        except NOT_THERE as error:
            found["absent"].setdefault(name, {})[kind] = str(error)
            if isinstance(error, CorruptArtifactError):
                damaged(error)

    for name in BASELINES:
        make("target", name, partial(_target, name, week, store))
    if found["weeks"]:
        found["sessions"] = [str(day.date()) for day in execution_sessions(found["weeks"])]
        for name in BASELINES:
            make("net", name, partial(_walked, name, found["weeks"], store, market, damaged))
        make("net", INDEX_FUND, partial(_index_fund, found["weeks"], store, market))
    return found


def _weeks(known: str, allocators: Sequence[str], store: StoreResource) -> list[str]:
    """Return the weeks from the first decided one to ``known``; none if the first comes later."""
    decided = [row.decision.week_start for name in allocators for row in store.experience.records(name)]
    if not decided or min(decided) > known:
        return []
    return [str(day.date()) for day in calendar.weeks(min(decided), known)["week"]]


def _target(name: str, week: str, store: StoreResource) -> dict[str, float]:
    found = as_mapping(store.assets.read("baseline_weights", f"{name}|{week[:4]}"), week)
    if found is None:
        raise NotEnoughDataError(
            "There are no baseline weights of this week.",
            todo=f"materialise baseline_weights of {week[:4]} again.",
            week=week,
        )
    return dict(found)


def _walked(
    name: str,
    weeks: list[str],
    store: StoreResource,
    market: MarketResource,
    damaged: Callable[[CorruptArtifactError], None],
) -> list[float]:
    from allocator_pipeline.allocators.scheduled import Scheduled

    years = range(int(weeks[0][:4]), int(weeks[-1][:4]) + 1)
    table = pd.concat([store.assets.read("baseline_weights", f"{name}|{year}") for year in years], ignore_index=True)
    states = _states(years, store, damaged).between(weeks[0], weeks[-1])
    return baseline_weeks(Scheduled(table), states, market.settings.costs)


def _states(years: range, store: StoreResource, damaged: Callable[[CorruptArtifactError], None]) -> StateTensors:
    """Return the states of the first forecaster that has them all, undamaged: returns are the same in everyone's."""
    missing: list[MissingPartitionError | CorruptArtifactError] = []
    for name in STATE_FORECASTERS:
        try:
            return concatenate([store.assets.read("state_tensors", f"{name}|{year}") for year in years])
        except MissingPartitionError as error:
            missing.append(error)
        except CorruptArtifactError as error:
            damaged(error)
            missing.append(error)
    raise missing[0]


def _index_fund(weeks: list[str], store: StoreResource, market: MarketResource) -> list[float]:
    coverage = market.source.coverage()
    if INDEX_FUND not in coverage.symbols:
        raise NotEnoughDataError(
            f"This market has no prices of {INDEX_FUND}.", todo="add it to the prices of the market to see it here."
        )
    sessions = execution_sessions(weeks)
    years = range(sessions[0].year, sessions[-1].year + 1)
    prices = pd.concat([store.assets.read("prices", str(year)) for year in years], ignore_index=True)
    return index_fund_weeks(prices, weeks, coverage.has_open, market.settings.costs)
