"""A chart of Yahoo's: daily bars as they traded, with dividends and splits, out of one answer of `/v8/finance/chart/`.

Yahoo divides prices and dividends by all splits up to the moment of the answer, and multiplies volumes by them. The
splits stand in the same answer, which is why it must reach to the present: with them that is undone. Its own adjusted
closes are not read; dividends are, and `market.live.adjust` makes returns of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.errors import IncompleteDataError, VendorDownError, VendorError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.macro import OTHER_SERIES
from allocator_pipeline.market.live.settled import last_settled, listed
from allocator_pipeline.market.source import NEW_YORK

AGREEMENT = 50e-4
"""Greatest difference, as a share, between two tellings of the same number."""

_LONGEST = 2**32
"""Seconds from 1970, either way."""

BAR = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Chart:
    """What Yahoo says of one ticker.

    Parameters
    ----------
    ticker : str
        Yahoo's name of it.
    sessions : DataFrame
        By date (datetime64[us], rising, each once): ``open``, ``high``, ``low``, ``close`` (USD) and ``volume``
        (shares) as traded, ``dividend`` (USD a share, 0 if none) and ``split`` (new shares for one old one, 1 if none)
        of those that go ex on that day. Only sessions that had settled, and only whole bars.
    first_trade : date or None
        Of the ticker, as Yahoo knows it.
    """

    ticker: str
    sessions: pd.DataFrame
    first_trade: date | None


def yahoo_ticker(ticker: str) -> str:
    """Return Yahoo's way to write a ticker: ``BRK-B`` for ``BRK.B``."""
    return ticker.replace(".", "-")


def read_chart(body: bytes, fetched_at: datetime, ticker: str | None = None) -> Chart:
    """Read an answer.

    Rows that lack a number, or hold one that is no price, are no bars; the live bar is left out; of two rows for one
    day, which Yahoo sends around the close, the later one counts if they agree within 50 basis points. An action on a
    day without session counts from the next session.

    Parameters
    ----------
    body : bytes
    fetched_at : datetime
        With a time zone.
    ticker : str, optional
        As Yahoo writes it, to refuse an answer for another.

    Raises
    ------
    VendorDownError
        If it is no JSON.
    VendorError
        If it cannot be read, is for another ticker, is an error of Yahoo's, is not of daily bars, not in USD, not of
        New York's sessions, or contradicts itself.
    IncompleteDataError
        If it holds no bar at all.
    """
    result = _result(body, ticker)
    meta = _mapping(result.get("meta"))
    named = str(meta.get("symbol"))[:20]
    if ticker not in (None, named):
        raise _nonsense(f"it is for {named}, as if the company had been renamed", ticker)
    ticker = named
    try:
        _check_kind(meta, ticker)
        days, rows = _rows(result, ticker, fetched_at)
        dividends, splits = _actions(_mapping(result.get("events")), ticker)
        first = meta.get("firstTradeDate")
        first_trade = None if first is None else _days([first])[0].date()
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise _nonsense(f"the chart does not have the form expected ({type(error).__name__})", ticker) from None
    return Chart(ticker, _as_traded(days, rows, dividends, splits), first_trade)


def _result(body: bytes, ticker: str | None) -> Mapping[str, Any]:
    try:
        chart = _mapping(_mapping(json.loads(body)).get("chart"))
    except (ValueError, RecursionError) as error:
        raise _nonsense(f"the answer is no JSON ({type(error).__name__})", ticker, VendorDownError) from None
    told = chart.get("error")
    if told:
        words = told.get("description", told.get("code")) if isinstance(told, dict) else told
        raise _nonsense(f"it says {str(words)[:120]!r}", ticker)
    results = chart.get("result")
    if not isinstance(results, list) or len(results) != 1:
        raise _nonsense("there is no chart in the answer", ticker)
    return _mapping(results[0])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _check_kind(meta: Mapping[str, Any], ticker: str) -> None:
    index = ticker.startswith("^")  # of another exchange perhaps: the VIX comes from Chicago
    zones = (NEW_YORK, "America/Chicago") if index else (NEW_YORK,)
    for name, allowed in (("currency", ("USD",)), ("dataGranularity", ("1d",)), ("exchangeTimezoneName", zones)):
        if meta.get(name) not in allowed:
            raise _nonsense(f"{name} is {str(meta.get(name))[:40]!r} and not {' or '.join(allowed)}", ticker)


def _rows(result: Mapping[str, Any], ticker: str, fetched_at: datetime) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Return the days of the whole bars, rising, and these as rows of `BAR`."""
    quote = result["indicators"]["quote"][0]
    if not result.get("timestamp") or not quote:
        raise _empty("no bar", ticker)
    stamps = np.array(result["timestamp"], dtype="int64")
    rows = np.array([quote[name] for name in BAR], dtype="float64").T
    for name in np.array(BAR)[np.isnan(rows).all(axis=0)]:
        raise _empty(f"no {name} in any bar", ticker)
    order = np.argsort(stamps, kind="stable")
    days, rows = _days(stamps[order]), rows[order]
    whole = (
        np.isfinite(rows).all(axis=1) & (rows[:, :4] > 0).all(axis=1) & (rows[:, 4] >= 0) & (rows[:, 1] >= rows[:, 2])
    )
    whole &= days <= pd.Timestamp(last_settled(fetched_at))
    if not whole.any():
        raise _empty("no usable bar of a session that has settled", ticker)
    return _once(days[whole], rows[whole], ticker)


def _once(days: pd.DatetimeIndex, rows: np.ndarray, ticker: str) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Keep the later row of a day, and the days that are sessions."""
    again = np.r_[days[1:] == days[:-1], False]
    apart = np.abs(np.diff(rows[:, 3], append=np.nan) / rows[:, 3]) > AGREEMENT
    if (again & apart).any():
        raise _nonsense(f"there are two different bars for {listed(days[again & apart])}", ticker)
    strange = ~days.isin(calendar.sessions(days[0], days[-1]))
    if strange.any() and not ticker.startswith("^"):  # an index may be worked out on more days
        raise _nonsense(f"there are bars for {listed(days[strange])}, when the exchange was closed", ticker)
    return days[~again & ~strange], rows[~again & ~strange]


def _days(stamps: Any) -> pd.DatetimeIndex:
    seconds = np.asarray(stamps, dtype="int64")
    if (np.abs(seconds) > _LONGEST).any():
        raise ValueError("a moment beyond all calendars")
    moments = pd.DatetimeIndex(seconds.astype("datetime64[s]"), tz="UTC")
    return moments.tz_convert(NEW_YORK).tz_localize(None).normalize().as_unit("us")


def _actions(events: Mapping[str, Any], ticker: str) -> tuple[pd.Series, pd.Series]:
    """Return dividends (as Yahoo divides them) and splits by session."""
    paid = [
        (event["date"], float(event["amount"]))
        for kind in ("dividends", "capitalGains")
        for event in _mapping(events.get(kind)).values()
    ]
    split = [
        (event["date"], float(event["numerator"]) / float(event["denominator"]))
        for event in _mapping(events.get("splits")).values()
    ]
    dividends, splits = (_by_session(found, ticker) for found in (paid, split))
    twice = splits.index[splits.index.duplicated()]
    if len(twice):
        raise _nonsense(f"there are two different splits on {listed(twice)}", ticker)
    return dividends.groupby(level=0).sum(), splits


def _by_session(found: list[tuple[Any, float]], ticker: str) -> pd.Series:
    if not found:
        return pd.Series(dtype="float64", index=pd.DatetimeIndex([], dtype="datetime64[us]"))
    if not all(0 < value < np.inf for _, value in found):
        raise _nonsense("a dividend or split is not a positive number", ticker)
    days = _days([stamp for stamp, _ in found])
    every = calendar.sessions(days.min(), days.max() + pd.Timedelta(days=14))
    told = set(zip(every[every.searchsorted(days)], (value for _, value in found), strict=True))  # some it tells twice
    sessions, values = zip(*sorted(told), strict=True)
    return pd.Series(values, index=pd.DatetimeIndex(sessions).as_unit("us"))


def _as_traded(days: pd.DatetimeIndex, rows: np.ndarray, dividends: pd.Series, splits: pd.Series) -> pd.DataFrame:
    """Undo the division by the splits after each day."""
    products = np.r_[np.cumprod(splits.to_numpy()[::-1])[::-1], 1.0]
    factor = products[splits.index.searchsorted(days, side="right")]
    table = pd.DataFrame(rows * np.c_[np.repeat(factor[:, None], 4, axis=1), 1 / factor], columns=BAR, index=days)
    table["dividend"] = dividends.reindex(days, fill_value=0.0).to_numpy() * factor
    table["split"] = splits.reindex(days, fill_value=1.0).to_numpy()
    return table


def _nonsense(why: str, ticker: str | None = None, kind: type[VendorError] = VendorError) -> VendorError:
    return kind(
        f"Yahoo's answer cannot be used: {why}.",
        todo=_todo(ticker),
        source="yahoo",
        symbol=ticker,
    )


def _empty(what: str, ticker: str) -> IncompleteDataError:
    return IncompleteDataError(
        f"Yahoo sends {what}.",
        todo=_todo(ticker),
        source="yahoo",
        symbol=ticker,
    )


def _todo(ticker: str | None) -> str:
    if ticker is not None and ticker.startswith("^"):
        return f"run it again later, {OTHER_SERIES}."
    return "run it again later; if it stays, look at the symbol at Yahoo, or leave it out."
