"""Which sessions the kept answers about bars hold."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from allocator_pipeline.market.live.alpaca import ALPACA
from allocator_pipeline.market.live.bars import daily_bars
from allocator_pipeline.market.live.second_bars import second_bars
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore


def held_sessions(store: RawStore, key: RawKey, listings: Sequence[Listing]) -> pd.DatetimeIndex:
    """Return the sessions with a bar, of a symbol's listings, in all answers of a vendor.

    Parameters
    ----------
    store : RawStore
    key : RawKey
        Of kind ``bars``, by Yahoo or Alpaca.
    listings : sequence of Listing
        Of that symbol.

    Returns
    -------
    DatetimeIndex

    Raises
    ------
    CorruptArtifactError, VendorError, IncompleteDataError
        If what is stored cannot be read.
    """
    if key.vendor == ALPACA:
        table = second_bars(store, key.name, listings)
    else:
        table = daily_bars(store, key.name, listings).bars
    return pd.DatetimeIndex(table["date"])
