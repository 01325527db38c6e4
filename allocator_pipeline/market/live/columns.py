"""Columns of derived tables in the types of `schemas`, also where there are no rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd


def texts(values: Sequence[str]) -> pd.Series:
    """Return a column of text."""
    return pd.Series(list(values), dtype="str")


def days(values: Sequence[date]) -> pd.Series:
    """Return a column of days (naive midnights)."""
    return pd.Series(np.array(values, dtype="datetime64[us]"))


def instants(values: Sequence[datetime]) -> pd.Series:
    """Return a column of instants, in UTC."""
    naive = [value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return pd.Series(np.array(naive, dtype="datetime64[us]")).dt.tz_localize("UTC")
