"""Open the market source that the settings name."""

from __future__ import annotations

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.source import MarketSource


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
    raise ConfigurationError(
        f"The market {settings.market!r} is not available yet.",
        todo="set ALLOCATOR_MARKET to sample, files or simulated.",
    )
