"""One small generated market for the tests of this folder."""

from datetime import date
from typing import NamedTuple

import pandas as pd
import pytest

from allocator_pipeline.config import SimulatedConfig
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline.market.universe import universe_of


class Tables(NamedTuple):
    """What the features of 2017 are made of."""

    prices: pd.DataFrame
    sentiment: pd.DataFrame
    fundamentals: pd.DataFrame
    universe: pd.DataFrame


@pytest.fixture(scope="session")
def tables() -> Tables:
    market = SimulatedMarket(SimulatedConfig(start=date(2015, 1, 1), end=date(2018, 2, 1)))
    prices = pd.concat([market.prices(year) for year in (2015, 2016, 2017, 2018)], ignore_index=True)
    return Tables(
        prices,
        pd.concat([market.sentiment(year) for year in (2016, 2017)], ignore_index=True),
        pd.concat([market.fundamentals(year) for year in (2015, 2016, 2017)], ignore_index=True),
        universe_of(2017, prices),
    )
