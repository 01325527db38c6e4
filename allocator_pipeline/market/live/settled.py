"""When a session counts, and how days are named in messages."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.source import NEW_YORK

SETTLING = pd.Timedelta(hours=2)
"""A bar in an answer counts if it was fetched this long after its close: until then it is live and may change. The
market itself waits longer before it asks (`window.SETTLING`); this holds whoever asks."""

_SHOWN = 5


def last_settled(at: datetime) -> date:
    """Return the last session that had settled at an instant (with a time zone)."""
    instant = pd.Timestamp(at)
    today = instant.tz_convert(NEW_YORK).date()
    days = calendar.sessions(today - pd.Timedelta(days=14), today)
    return days[calendar.closes(days) + SETTLING <= instant][-1].date()


def listed(days: pd.Index) -> str:
    """Return some days as text: the first few, and how many more there are."""
    shown = ", ".join(str(day.date()) for day in days[:_SHOWN])
    return shown + (f" and {len(days) - _SHOWN} more" if len(days) > _SHOWN else "")
