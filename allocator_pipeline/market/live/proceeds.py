"""What becomes of a stock whose listing ends: its holders have its last price, as cash, until the universe changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.membership import Listing

SOURCE = "proceeds"
"""Source of bars that no exchange has made."""


def with_proceeds(bars: pd.DataFrame, listings: Sequence[Listing], last: date) -> pd.DataFrame:
    """Carry the last price of a stock on after the end of its listing.

    A universe holds for a year. Up to the exit of that year's last week, or to the day before the stock is listed
    again, each session without a listing has a bar at the last close with nothing traded, so that weeks after the end
    pay nothing, as cash does. Nobody can choose the stock into another universe: it takes a session with trades to be
    ranked. One that is listed again pays, on its first day, what it has gained or lost meanwhile.

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
    parts = [told]
    for one, again in zip(listings, [*listings[1:], None], strict=True):
        before = told[told["date"] <= pd.Timestamp(one.last or last)]
        if one.last is None or one.last >= last or before.empty:
            continue
        final = before.iloc[-1]
        until = last if again is None else min(last, again.first - timedelta(days=1))
        days = calendar.sessions(final["date"] + pd.Timedelta(days=1), until)
        if len(days) and again is None:
            # the year of the session after: who trades to the last one of a year may be in the universe of the next
            days = days[days <= calendar.weeks_of_year(days[0].year)["exit_session"].iloc[-1]]
        if len(days):
            prices = dict.fromkeys(("open", "high", "low", "close"), final["close"])
            carried = {"date": days, **prices, "volume": 0.0, "adj_close": final["adj_close"], "source": SOURCE}
            parts.append(pd.DataFrame(carried))
    return pd.concat(parts, ignore_index=True).sort_values("date", ignore_index=True)
