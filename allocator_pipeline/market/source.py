"""What a market source offers: the interface that `sample`, `files`, `simulated` and `live` share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable

import pandas as pd

from allocator_pipeline.errors import NotEnoughDataError

NEW_YORK = "America/New_York"
NO_SCREEN = "No halal screen is applied."
"""Said by each source of real stocks, unless the user has screens."""


@dataclass(frozen=True)
class MarketCoverage:
    """What a source holds; cheap to know, without reading its tables in full.

    Parameters
    ----------
    name : str
        Name of the source, such as ``"sample"``.
    first_session, last_session : date
        First and last session with prices.
    static : bool
        True if nothing will ever be added, so that schedules have nothing to do.
    has_open, has_volume : bool
        Whether every bar has an opening price, and a volume.
    simulated : tuple of str
        Tables that are generated and not observed, such as ``("news", "fundamentals")``.
    notes : tuple of str
        What every report has to say about this source: survivorship, screens, what is simulated.
    symbols : tuple of str
        Every symbol with prices, in alphabetical order.
    """

    name: str
    first_session: date
    last_session: date
    static: bool
    has_open: bool
    has_volume: bool
    simulated: tuple[str, ...]
    notes: tuple[str, ...]
    symbols: tuple[str, ...]

    @property
    def years(self) -> range:
        """The calendar years with prices."""
        return range(self.first_session.year, self.last_session.year + 1)


class MarketSource(Protocol):
    """A source of daily bars, scored news and fundamentals, by calendar year.

    A table of one year never depends on which other years were asked for. Every method raises `MarketDataError` where
    the data behind it is malformed; `prices` raises `NotEnoughDataError` for a year outside the coverage.
    """

    def coverage(self) -> MarketCoverage:
        """Return what the source holds."""

    def prices(self, year: int) -> pd.DataFrame:
        """Return the daily bars of a year (`schemas.PRICES`)."""

    def sentiment(self, year: int) -> pd.DataFrame:
        """Return the scored articles published in a year, New York time (`schemas.SENTIMENT`)."""

    def fundamentals(self, year: int) -> pd.DataFrame:
        """Return the ratios that became known in a year, New York time (`schemas.FUNDAMENTALS`)."""

    def fixed_universe(self) -> list[str]:
        """Return 15 symbols by liquidity at the end of the data, which carries survivorship into every year."""

    def rejections(self, year: int) -> dict[str, int]:
        """Return how many rows of a year were rejected, by reason."""


@runtime_checkable
class ItemisedSource(Protocol):
    """What a source offers beside `MarketSource` if it knows dividends and splits one by one."""

    def corporate_actions(self, year: int) -> pd.DataFrame:
        """Return the dividends and splits of a year by which its adjusted closes move (`schemas.CORPORATE_ACTIONS`)."""


def require_year(coverage: MarketCoverage, year: int) -> None:
    """Refuse a year without prices.

    Raises
    ------
    NotEnoughDataError
        If the year lies outside the coverage.
    """
    if year not in coverage.years:
        raise NotEnoughDataError(
            f"The market has no prices in {year}; it covers {coverage.first_session} to {coverage.last_session}.",
            todo="ask for a year inside the coverage.",
            source=coverage.name,
        )


def year_start(year: int) -> pd.Timestamp:
    """Return the first instant of a year in New York, as UTC."""
    return pd.Timestamp(year=year, month=1, day=1, tz=NEW_YORK).tz_convert("UTC")
