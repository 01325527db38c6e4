"""Open the market source that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.source import MarketSource

if TYPE_CHECKING:
    from allocator_pipeline.market.live.market import LiveMarket
    from allocator_pipeline.market.membership import Membership


def open_market(settings: Settings) -> MarketSource:
    """Return the market source that ``settings.market`` names.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    MarketSource

    Raises
    ------
    ConfigurationError
        If the source is not available, or is not configured.
    MarketDataError
        If the files of the ``files`` market are malformed.
    """
    if settings.market == "sample":
        from allocator_pipeline.market.sample import SampleMarket

        return SampleMarket()
    if settings.market == "simulated":
        from allocator_pipeline.market.simulated import SimulatedMarket

        return SimulatedMarket(settings.simulated)
    if settings.market == "files":
        from allocator_pipeline.market.files import FilesMarket

        if settings.files_dir is None:
            raise ConfigurationError(
                "The files market needs a folder.",
                todo="set ALLOCATOR_FILES_DIR to the folder that holds prices.parquet or prices.csv.",
            )
        return FilesMarket(settings.files_dir, settings.files_source)
    return open_live(settings)


def open_live(settings: Settings) -> LiveMarket:
    """Return the live market.

    Raises
    ------
    ConfigurationError
        If it is not configured.
    MarketDataError
        If the list of candidates is malformed.
    """
    from allocator_pipeline.market.live.market import LiveMarket
    from allocator_pipeline.market.raw import RawStore

    if settings.live is None:
        raise ConfigurationError(
            "The live market needs a list of candidates.",
            todo="set ALLOCATOR_MARKET=live and ALLOCATOR_LIVE_CANDIDATES; docs/live-data.md has an example.",
        )
    folder = settings.market_dir
    return LiveMarket(settings.live, RawStore(folder / "raw"), folder / "scores.sqlite")


def memberships_of(settings: Settings) -> tuple[Membership, ...]:
    """Return the dated lists that a stock must be on to be chosen: the user's screens, and the live candidates.

    Raises
    ------
    MarketDataError
        If a list is malformed; it names file and row.
    """
    from allocator_pipeline.market.membership import membership_of, read_candidates, read_screen

    screens = tuple(read_screen(path) for path in settings.screens)
    if settings.market == "live" and settings.live is not None:
        return (membership_of(read_candidates(settings.live.candidates)), *screens)
    return screens
