"""Which days the live market covers: from configuration, calendar and clock."""

from __future__ import annotations

from datetime import date

import pandas as pd

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.source import NEW_YORK, year_start

SETTLING = pd.Timedelta(hours=12)
"""The market covers a session, and asks vendors about it, once it has been closed for so long: its day is over, and
all of them have its final bar. A single bar of Yahoo's may be kept earlier (`settled.SETTLING`)."""

LATE_START = (1, 10)
"""Month and day; a market that starts later in a year begins with the next one."""


def settled_session(now: pd.Timestamp | None = None) -> date:
    """Return the last session that has settled.

    Parameters
    ----------
    now : Timestamp, optional
        With a time zone; by default the clock's.
    """
    now = calendar.now() if now is None else now
    days = calendar.sessions(f"{calendar.FIRST_YEAR}-01-01", now.tz_convert("UTC").tz_localize(None))
    return days[calendar.closes(days) + SETTLING <= now][-1].date()


def covered_sessions(config: LiveConfig, settled: date) -> pd.DatetimeIndex:
    """Return the sessions of the market.

    Parameters
    ----------
    config : LiveConfig
    settled : date
        The last session that has settled.

    Returns
    -------
    DatetimeIndex

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    start = config.start
    if (start.month, start.day) > LATE_START:
        start = date(start.year + 1, 1, 1)
    days = calendar.sessions(start, min(config.end or settled, settled))
    if len(days) == 0:
        raise ConfigurationError(
            f"The live market has no settled session from {start} to {config.end or 'now'}.",
            todo="set ALLOCATOR_LIVE_START and ALLOCATOR_LIVE_END to days with whole years between them.",
        )
    return days


def in_year(rows: pd.DataFrame, column: str, year: int, last: date) -> pd.DataFrame:
    """Return the rows of a year, New York time, up to the end of the market's last session's day."""
    after = (pd.Timestamp(last) + pd.Timedelta(days=1)).tz_localize(NEW_YORK).tz_convert("UTC")
    end = min(year_start(year + 1), after)
    return rows[(rows[column] >= year_start(year)) & (rows[column] < end)]
