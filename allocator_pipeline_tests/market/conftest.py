"""Builders of small markets for the tests of this folder."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import SimulatedConfig
from allocator_pipeline.market import calendar
from allocator_pipeline.market.simulated import SimulatedMarket


@pytest.fixture(scope="session")
def simulated() -> SimulatedMarket:
    return SimulatedMarket(SimulatedConfig(start=date(2015, 1, 1), end=date(2017, 12, 29)))


@pytest.fixture
def bars() -> Callable[..., pd.DataFrame]:
    """Build `schemas.PRICES` from closes by symbol, over the sessions from a day on."""

    def build(closes: dict[str, np.ndarray], first: str = "2015-01-01", volume: float | None = None) -> pd.DataFrame:
        count = len(next(iter(closes.values())))
        days = calendar.sessions(first, "2030-12-31")[:count]
        parts = [
            pd.DataFrame(
                {
                    "date": days,
                    "symbol": symbol,
                    "open": np.nan,
                    "high": np.nan,
                    "low": np.nan,
                    "close": values,
                    "adj_close": values,
                    "volume": np.nan if volume is None else volume,
                    "source": "built",
                }
            )
            for symbol, values in closes.items()
        ]
        table = pd.concat(parts, ignore_index=True).astype({"symbol": "str", "source": "str"})
        return table.sort_values(["date", "symbol"], ignore_index=True)

    return build
