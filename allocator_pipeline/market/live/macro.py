"""Economic and market series, each value with the instant at which it was known.

What markets quote is known by a rule that needs no archive (`MARKET_SERIES`). Every other series of FRED is dated by
the period that it is about, weeks before anybody knows the value; of these the initial releases are read, and a value
is known at the end of the day on which FRED first showed it. That is never too early; for values from before FRED kept
its archive it is much too late.

Indices from Yahoo's charts are read only for series that are named so (``^VIX``), never in place of one that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from allocator_pipeline.errors import ConfigurationError, IncompleteDataError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.body import nonsense, read_day, read_number, read_object
from allocator_pipeline.market.live.columns import days, instants, texts
from allocator_pipeline.market.raw import RawKey, RawRecord, RawStore
from allocator_pipeline.market.tabular import end_of_day
from allocator_pipeline.schemas import MACRO, validate

VENDOR = "FRED"

MARKET_SERIES = {"VIXCLS": 0, "SP500": 0, "DGS3MO": 1, "DGS2": 1, "DGS5": 1, "DGS10": 1}
"""Series that are not revised, and the business days of the Federal Reserve after which each is known (at the end of
that day, New York). Indices are quoted on their day, after the close; the Federal Reserve publishes Treasury yields
(release H.15) on its next business day."""

BEGUN = {
    "VIXCLS": date(1990, 1, 2),
    "DGS3MO": date(1981, 9, 1),
    "DGS2": date(1976, 6, 1),
    "DGS5": date(1962, 1, 2),
    "DGS10": date(1962, 1, 2),
}
"""First day of market series at FRED."""

SHOWN_FOR = {"SP500": timedelta(days=3650)}
"""How far back FRED shows a series of which it has a moving window only: ten years, less the days of leap years."""

HOLIDAYS, SHARE_OF_HOLIDAYS = 2, 0.02
"""So many sessions, and so large a share of them, may lack a value of a market series (`spare`)."""

INDEX_YIELDS = ("^IRX", "^FVX", "^TNX", "^TYX")
"""Treasury yields of 13 weeks, 5, 10 and 30 years at Yahoo."""

DEFAULT_SERIES = tuple(MARKET_SERIES)

SERIES_KINDS = ("observations", "index")
"""Kinds of raw data that are series: of FRED, and of Yahoo."""

INITIAL_RELEASES = 4
"""FRED's output type of an answer with the first release of each observation."""

MISSING = "."
"""What FRED writes for a day without a value."""

STALE = timedelta(days=10)
"""How far the last value of a market series may be from the last day that was asked for."""

OTHER_SERIES = "or take other series (ALLOCATOR_LIVE_MACRO: fred, yahoo or off)"
"""What else to do about a series that stays away."""

IndexCloses = Callable[[bytes, datetime, str], Mapping[date, float]]
"""Reads the closes of a Yahoo chart by day: from its body, the instant at which it was fetched and the index's name."""


class Observation(NamedTuple):
    """A value of a series, and the first day on which FRED showed it (of a market series: of no meaning)."""

    day: date
    value: float | None
    shown: date


def read_observations(body: bytes, series: str) -> list[Observation]:
    """Read the observations of one answer of ``fred/series/observations``, one a day.

    Raises
    ------
    VendorError
        If it cannot be understood, or gives two values for one day.
    IncompleteDataError
        If it holds none (but for a series of `SHOWN_FOR`), or fewer than it counts; or, for a series that is revised,
        other than initial releases.
    """
    content = read_object(body, VENDOR, series)
    try:
        rows = [
            Observation(
                read_day(row["date"]),
                None if row["value"] == MISSING else read_number(row["value"]),
                read_day(row["realtime_start"]),
            )
            for row in content["observations"]
        ]
        count, initial = int(content["count"]), int(content["output_type"]) == INITIAL_RELEASES
    except (KeyError, TypeError, ValueError):
        raise nonsense("holds no observations", VENDOR, series) from None  # whose text may be the vendor's
    if len(rows) != count or not (rows or series in SHOWN_FOR):
        raise _incomplete(series, f"It holds {len(rows)} of {count} observations")
    if series not in MARKET_SERIES and not initial:
        raise _incomplete(series, "It holds values as revised later, not the initial releases")
    if len({row.day for row in rows}) < len(rows):
        raise nonsense("gives two values for one day", VENDOR, series)
    return sorted(rows)


def spare(due: float) -> float:
    """Return how many of some sessions may lack a value of a series: bonds rest on days on which shares are traded."""
    return HOLIDAYS + SHARE_OF_HOLIDAYS * due


def shown_since(series: str, first: date, today: date) -> date:
    """Return the day from which a vendor has a series, or the first day that is wanted if that is later.

    Parameters
    ----------
    series : str
    first, today : date
    """
    begin = max(first, BEGUN.get(series, first))
    return max(begin, today - SHOWN_FOR[series]) if series in SHOWN_FOR else begin


def due_values(series: str, first: date, last: date, valued: pd.DatetimeIndex, today: date) -> pd.DatetimeIndex:
    """Return the sessions of which a value of a series is due, but for `spare`.

    They begin where the vendor has the series at all, and end with its last value, if the last releases are still to
    come: that may be `STALE` before today.

    Parameters
    ----------
    series : str
        Of FRED, or an index of Yahoo's.
    first, last : date
        Days that are wanted, both included.
    valued : DatetimeIndex
        Days with a value.
    today : date
    """
    wanted = calendar.sessions(shown_since(series, first, today), last)
    return wanted[(wanted <= pd.Timestamp(today - STALE)) | (wanted <= valued.max())]


def check_market_days(
    observations: Sequence[Observation], series: str, first: date, last: date, today: date | None = None
) -> None:
    """Refuse an answer about a market series that leaves out sessions or their values, or stops before the last day.

    Values are due from the first day asked for, or from the series' own first day if that is later (`BEGUN`; of a
    moving window, `SHOWN_FOR`): what lies before is not available from FRED.

    Parameters
    ----------
    observations : sequence of Observation
    series : str
        One of `MARKET_SERIES`.
    first, last : date
        The days asked for, both included.
    today : date, optional
        When it was asked, by default ``last``.

    Raises
    ------
    IncompleteDataError
        Naming the first session without a row, or without a value.
    """
    begin = shown_since(series, first, today or last)
    there = {row.day for row in observations}
    valued = {row.day for row in observations if row.value is not None}
    _require_recent(valued, series, begin, last, VENDOR)
    wanted = calendar.sessions(begin, max(there)).date.tolist() if there and begin <= max(there) else []
    _require(wanted, there, series, "sessions", 0.0, VENDOR)
    _require_values(valued, series, begin, last, VENDOR)


def check_index_days(valued: Collection[date], series: str, first: date, last: date) -> None:
    """Refuse an answer about an index of Yahoo's that leaves out sessions: of yields, more than those of bond holidays.

    Parameters
    ----------
    valued : collection of date
        Days with a bar.
    series : str
        Such as ``"^VIX"``.
    first, last : date
        The days asked for, both included.

    Raises
    ------
    IncompleteDataError
        Naming the first session without a bar.
    """
    if series not in INDEX_YIELDS:
        wanted = calendar.sessions(first, last).date.tolist()
        return _require(wanted, valued, series, "sessions", 0.0, "yahoo")
    _require_recent(valued, series, first, last, "yahoo")
    return _require_values(valued, series, first, last, "yahoo")


def _require_recent(valued: Collection[date], series: str, first: date, last: date, source: str) -> None:
    end = max(valued, default=date.min)
    if first <= last and last - end > STALE and len(calendar.sessions(first, last)):
        problem = f"It ends on {end} and not by {last}" if valued else "It holds no value of any day"
        raise _incomplete(series, problem, source)


def _require_values(valued: Collection[date], series: str, first: date, last: date, source: str) -> None:
    wanted = calendar.sessions(first, last).date.tolist() if first <= last else []
    until = [day for day in wanted if day <= max(valued, default=date.min)]
    _require(until, valued, series, "values of sessions", spare(len(until)), source)


def _require(wanted: Sequence[date], there: Collection[date], series: str, what: str, most: float, source: str) -> None:
    lacking = [day for day in wanted if day not in there]
    if len(lacking) > most:
        problem = f"It leaves out {len(lacking)} of {len(wanted)} {what}, the first on {lacking[0]}"
        raise _incomplete(series, problem, source)


def macro_table(
    store: RawStore, series: Sequence[str] = DEFAULT_SERIES, index_closes: IndexCloses | None = None
) -> pd.DataFrame:
    """Derive the table of series from the answers that are kept.

    What an earlier answer gave for a day stands; a value that an earlier answer about that day did not hold was not
    known before that answer came.

    Parameters
    ----------
    store : RawStore
    series : sequence of str
        Names at FRED, or, beginning with ``^``, of indices at Yahoo.
    index_closes : callable, optional
        Reads Yahoo's charts; needed for indices only.

    Returns
    -------
    DataFrame
        `schemas.MACRO`; days without a value are left out.

    Raises
    ------
    ConfigurationError
        If an index is asked for and nothing reads its chart.
    VendorError, IncompleteDataError, CorruptArtifactError
        If what is kept cannot be read.
    """
    rows: dict[tuple[date, str], tuple[float, datetime, str]] = {}
    for name in series:
        index = name.startswith("^")
        if index and index_closes is None:
            raise ConfigurationError(
                f"Nothing reads the chart of {name}.", todo="name series of FRED, such as VIXCLS.", source="yahoo"
            )
        earlier: list[RawRecord] = []
        key = RawKey("yahoo", "index", name) if index else RawKey("fred", "observations", name)
        for record, body in store.bodies(key):
            if index and index_closes is not None:
                values = {
                    day: (value, end_of_day(day)) for day, value in index_closes(body, record.fetched_at, name).items()
                }
            else:
                values = _fred_values(body, name)
            for day, (value, known_at) in values.items():
                if (day, name) not in rows:
                    lacked = [one.fetched_at for one in earlier if one.first <= day <= one.last]
                    rows[day, name] = (value, max([known_at, *lacked]), "yahoo" if index else "fred")
            earlier.append(record)
    return _table(rows)


def _fred_values(body: bytes, series: str) -> dict[date, tuple[float, datetime]]:
    wait = MARKET_SERIES.get(series)
    return {
        row.day: (row.value, end_of_day(row.shown if wait is None else _business_day(row.day, wait)))
        for row in read_observations(body, series)
        if row.value is not None
    }


def _business_day(day: date, count: int) -> date:
    """Return the business day of the Federal Reserve that comes ``count`` after a day; for none, the day itself."""
    if count == 0:
        return day
    return pd.Timestamp(np.busday_offset(day, count, roll="backward", busdaycal=_federal())).date()


@lru_cache(maxsize=1)
def _federal() -> np.busdaycalendar:
    from pandas.tseries.holiday import USFederalHolidayCalendar

    days = USFederalHolidayCalendar().holidays(f"{calendar.FIRST_YEAR}-01-01", f"{calendar.LAST_YEAR}-12-31")
    return np.busdaycalendar(holidays=days.to_numpy().astype("datetime64[D]"))


def _table(rows: dict[tuple[date, str], tuple[float, datetime, str]]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "date": days([day for day, _ in rows]),
            "series": texts([name for _, name in rows]),
            "value": np.array([value for value, _, _ in rows.values()], dtype=np.float64),
            "known_at": instants([known_at for _, known_at, _ in rows.values()]),
            "source": texts([source for _, _, source in rows.values()]),
        }
    )
    return validate(table.sort_values(["date", "series"], ignore_index=True), MACRO, "macro")


def _incomplete(series: str, problem: str, source: str = VENDOR) -> IncompleteDataError:
    return IncompleteDataError(
        f"{problem}.",
        todo=f"run it again later, {OTHER_SERIES}; nothing was stored.",
        source=source,
        symbol=series,
    )
