"""The embedded market: real daily closes of 20 large US stocks, 1990-2022, out of the installed skfolio package."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS
from allocator_pipeline.market import calendar
from allocator_pipeline.market.fundamentals import generated_fundamentals
from allocator_pipeline.market.liquidity import rank_by_liquidity
from allocator_pipeline.market.news import uninformed_news
from allocator_pipeline.market.source import NO_SCREEN, MarketCoverage, require_year
from allocator_pipeline.schemas import PRICES, validate

SEED = 1990
BANKS = ("BAC", "JPM")

_COVERAGE = MarketCoverage(  # written out, so that loading the definitions does not have to import skfolio
    name="sample",
    first_session=date(1990, 1, 2),
    last_session=date(2022, 12, 28),
    static=True,
    has_open=False,
    has_volume=False,
    simulated=("news", "fundamentals"),
    notes=(
        "Prices are real adjusted daily closes of 20 S&P 500 stocks that survived to 2022: every level of return is "
        "flattered by survivorship.",
        "News and fundamentals are simulated and carry no information about future returns.",
        NO_SCREEN,
        "There are no opening prices: a week is executed at the close of its first session.",
    ),
    symbols=(
        "AAPL",
        "AMD",
        "BAC",
        "BBY",
        "CVX",
        "GE",
        "HD",
        "JNJ",
        "JPM",
        "KO",
        "LLY",
        "MRK",
        "MSFT",
        "PEP",
        "PFE",
        "PG",
        "RRC",
        "UNH",
        "WMT",
        "XOM",
    ),
)


@lru_cache(maxsize=1)
def _closes() -> pd.DataFrame:
    from skfolio.datasets import load_sp500_dataset  # reads a file of the package; skfolio takes a second to import

    closes = load_sp500_dataset()
    return closes.set_axis(pd.DatetimeIndex(closes.index).as_unit("us"), axis=0)


class SampleMarket:
    """Real closes with generated news and fundamentals; see `MarketSource` for the methods."""

    def coverage(self) -> MarketCoverage:
        """Return what the source holds."""
        return _COVERAGE

    def prices(self, year: int) -> pd.DataFrame:
        """Return the bars of a year; only ``close`` and ``adj_close``, which are equal, are there.

        Raises
        ------
        NotEnoughDataError
            If the year is not one of 1990 to 2022.
        """
        require_year(_COVERAGE, year)
        return validate(_bars(_closes().loc[f"{year}-01-01" : f"{year}-12-31"]), PRICES, "sample")

    def sentiment(self, year: int) -> pd.DataFrame:
        """Return the generated articles of a year."""
        days = calendar.sessions(f"{year}-01-01", f"{year}-12-31")
        inside = (days >= pd.Timestamp(_COVERAGE.first_session)) & (days <= pd.Timestamp(_COVERAGE.last_session))
        return uninformed_news(days[inside], _COVERAGE.symbols, SEED, year)

    def fundamentals(self, year: int) -> pd.DataFrame:
        """Return the generated ratios released in a year; banks have no gross margin and no current ratio."""
        end = pd.Timestamp(_COVERAGE.last_session, tz="UTC") + pd.Timedelta(days=1)
        return generated_fundamentals(_COVERAGE.symbols, year, SEED, banks=BANKS, until=end)

    def fixed_universe(self) -> list[str]:
        """Return the 15 most liquid stocks at the end of 2022."""
        ranked = rank_by_liquidity(_bars(_closes().iloc[-252:]))
        return ranked["symbol"].head(N_STOCKS).tolist()

    def rejections(self, year: int) -> dict[str, int]:
        """Return nothing: no row is rejected."""
        return {}


def _bars(closes: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of closes (T sessions by N symbols) into `schemas.PRICES`."""
    count, width = closes.shape
    values = closes.to_numpy(dtype=np.float64).ravel()
    absent = np.full(count * width, np.nan)
    return pd.DataFrame(
        {
            "date": np.repeat(closes.index.to_numpy(), width),
            "symbol": pd.Series(np.tile(closes.columns.to_numpy(dtype=object), count), dtype="str"),
            "open": absent,
            "high": absent,
            "low": absent,
            "close": values,
            "adj_close": values,
            "volume": absent,
            "source": pd.Series("skfolio sp500", index=range(count * width), dtype="str"),
        }
    )
