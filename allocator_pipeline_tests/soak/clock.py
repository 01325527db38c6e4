"""A clock of our own for one process: Dagster's, the market's and that of decisions show the same instant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pandas as pd
from dagster._core.test_utils import get_freezable_log_manager

from allocator_pipeline.market import calendar


class Clock:
    """Shows an instant until it is moved.

    Parameters
    ----------
    instant : Timestamp
        UTC.
    """

    def __init__(self, instant: pd.Timestamp) -> None:
        self.instant = instant

    def now(self) -> pd.Timestamp:
        return self.instant

    def advance(self, span: pd.Timedelta) -> None:
        self.instant += span

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Let this process live by it."""
        with (
            patch("dagster._time._mockable_get_current_datetime", lambda: self.instant.to_pydatetime()),
            patch("dagster._time._mockable_get_current_timestamp", lambda: self.instant.timestamp()),
            patch("dagster._core.log_manager.DagsterLogManager", new=get_freezable_log_manager()),
            patch.object(calendar, "now", self.now),
        ):
            yield
