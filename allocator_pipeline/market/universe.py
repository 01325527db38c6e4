"""The 15 stocks of each year, each in a slot that it keeps while it stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS, UniverseMode
from allocator_pipeline.errors import ConfigurationError, NotEnoughDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.liquidity import rank_by_liquidity
from allocator_pipeline.market.membership import Membership, eligible
from allocator_pipeline.schemas import UNIVERSE, validate

FIXED_LIST = "fixed_list"


def universe_of(
    year: int,
    prices: pd.DataFrame,
    mode: UniverseMode = "point_in_time",
    fixed: list[str] | None = None,
    memberships: Sequence[Membership] = (),
) -> pd.DataFrame:
    """Return the 15 stocks of a year by slot.

    Point in time, each year ranks by the liquidity of the sessions before it. The slots fold over the years: a stock
    keeps its slot while it stays among the 15, and joiners fill the free slots in order of liquidity. The fold starts
    with the first year that has enough data before it.

    Parameters
    ----------
    year : int
    prices : DataFrame
        `schemas.PRICES` of all years before ``year``; later bars are not read.
    mode : {"point_in_time", "fixed"}
    fixed : list of str, optional
        The 15 symbols of the fixed list, in order.
    memberships : sequence of Membership
        What a stock must belong to, such as screens, on the last session that a ranking reads.

    Returns
    -------
    DataFrame
        `schemas.UNIVERSE`. ``liquidity`` is NaN for a fixed list, whose ``known_at`` says only up to when the prices
        that confirm its stocks as traded were read: the list itself was drawn up with hindsight.

    Raises
    ------
    NotEnoughDataError
        If there are too few sessions or eligible stocks before the year, or a stock of the fixed list did not trade
        in the last session before it.
    ConfigurationError
        If the fixed list has not 15 different symbols, or memberships exclude one of them.
    """
    before = prices[prices["date"] < pd.Timestamp(year=year, month=1, day=1)]
    if before.empty:
        raise NotEnoughDataError(
            f"There are no prices before {year} to choose its universe by.", todo="start a year later."
        )
    if mode == "fixed":
        return _fixed(year, before, fixed or [], memberships)
    slots: list[str | None] = [None] * N_STOCKS
    for fold_year in range(int(before["date"].dt.year.min()) + 1, year):
        try:
            ranking = _ranking(before, fold_year, memberships)
        except NotEnoughDataError:
            continue  # that year has no universe, and so moves no slot
        slots = list(next_slots(slots, _top(ranking)))
    ranking = _ranking(before, year, memberships)
    table = ranking.set_index("symbol").loc[next_slots(slots, _top(ranking))].reset_index()
    return _table(year, table, "point_in_time", before)


def next_slots(slots: Sequence[str | None], ranked: Sequence[str]) -> list[str]:
    """Move the slots on by a year.

    Parameters
    ----------
    slots : list of str or None, length 15
        Last year's symbols, None where a slot is free.
    ranked : list of str, length 15
        This year's symbols, the most liquid first.

    Returns
    -------
    list of str, length 15
    """
    staying = [symbol if symbol in ranked else None for symbol in slots]
    joining = iter(symbol for symbol in ranked if symbol not in staying)
    return [next(joining) if symbol is None else symbol for symbol in staying]


def _top(ranking: pd.DataFrame) -> list[str]:
    return ranking["symbol"].head(N_STOCKS).tolist()


def _ranking(before: pd.DataFrame, year: int, memberships: Sequence[Membership]) -> pd.DataFrame:
    """Rank the stocks of a year that belong to every membership on the last session before it."""
    bars = _trailing(before, year)
    if bars.empty or not memberships:
        return rank_by_liquidity(bars)
    return rank_by_liquidity(bars, eligible(set(bars["symbol"]), bars["date"].max().date(), memberships))


def _trailing(before: pd.DataFrame, year: int) -> pd.DataFrame:
    """Return the bars that a ranking for a year may read; two calendar years always hold 252 sessions."""
    day = before["date"]
    return before[(day >= pd.Timestamp(year - 2, 1, 1)) & (day < pd.Timestamp(year, 1, 1))]


def _fixed(year: int, before: pd.DataFrame, fixed: list[str], memberships: Sequence[Membership]) -> pd.DataFrame:
    if len(fixed) != N_STOCKS or len(set(fixed)) != N_STOCKS:
        raise ConfigurationError(
            f"A fixed universe needs {N_STOCKS} different symbols; it has {len(set(fixed))}.",
            todo="take the market's fixed_universe.",
        )
    traded = set(before.loc[before["date"] == before["date"].max(), "symbol"])
    absent = [symbol for symbol in fixed if symbol not in traded]
    if absent:
        raise NotEnoughDataError(
            f"The fixed universe holds stocks that did not trade at the end of {year - 1}: {', '.join(absent)}.",
            todo="start with a later year, or use the point_in_time universe.",
            symbol=absent[0],
        )
    passing = eligible(fixed, before["date"].max().date(), memberships)
    excluded = [symbol for symbol in fixed if symbol not in passing]
    if excluded:
        raise ConfigurationError(
            f"Stocks of the fixed universe do not pass every screen of {year}: {', '.join(excluded)}.",
            todo="set ALLOCATOR_UNIVERSE to point_in_time, or drop the screen.",
            symbol=excluded[0],
        )
    table = pd.DataFrame({"symbol": fixed, "rank": range(1, N_STOCKS + 1), "liquidity": np.nan, "measure": FIXED_LIST})
    return _table(year, table, "fixed", before)


def _table(year: int, chosen: pd.DataFrame, mode: UniverseMode, before: pd.DataFrame) -> pd.DataFrame:
    """Complete symbol, rank, liquidity and measure by slot to `schemas.UNIVERSE`."""
    table = chosen.assign(year=year, slot=range(N_STOCKS), mode=mode)
    table["known_at"] = calendar.closes(pd.DatetimeIndex([before["date"].max()]))[0]
    table = table[list(UNIVERSE.columns)].astype(
        {
            "year": "int64",
            "slot": "int64",
            "symbol": "str",
            "rank": "int64",
            "liquidity": "float64",
            "measure": "str",
            "mode": "str",
            "known_at": "datetime64[us, UTC]",
        }
    )
    return validate(table, UNIVERSE, f"universe {year}")
