"""What becomes of a stock whose listing ends: its holders have its last price, as cash, until the universe changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.membership import Listing

SOURCE = "proceeds"
"""Source of bars that no exchange has made."""


def with_proceeds(bars: pd.DataFrame, listings: Sequence[Listing], last: date) -> pd.DataFrame:
    """Carry the last price of a stock on after the end of its listing.

    A universe holds for a year. Up to the exit of that year's last week each session without a listing has a bar at the
    last close with nothing traded, so that weeks after the end pay nothing, as cash does. Nobody can choose the stock
    into another universe: it takes a session with trades to be ranked.

    Parameters
    ----------
    bars : DataFrame
        ``date, open, high, low, close, volume, adj_close`` of one symbol, rising in date.
    listings : sequence of Listing
        Of that symbol, in time order; what they say ends it, not that bars are missing.
    last : date
        Last session that counts.

    Returns
    -------
    DataFrame
        With ``source``: that of the bars given is ``"yahoo"``.
    """
    told = bars.assign(source="yahoo")
    ended = listings[-1].last
    if ended is None or bars.empty or ended >= last:
        return told
    final = told.iloc[-1]
    after = calendar.sessions(final["date"] + pd.Timedelta(days=1), last)
    if after.empty:
        return told
    # the year of the session after: who trades to the last one of a year may be in the universe of the next
    days = after[after <= calendar.weeks_of_year(after[0].year)["exit_session"].iloc[-1]]
    prices = dict.fromkeys(("open", "high", "low", "close"), final["close"])
    carried = pd.DataFrame({"date": days, **prices, "volume": 0.0, "adj_close": final["adj_close"], "source": SOURCE})
    return pd.concat([told, carried], ignore_index=True)
