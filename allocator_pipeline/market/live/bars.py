"""One history of a symbol out of all that Yahoo has ever answered about it.

What was known first stays: a later answer adds sessions and changes none. Yahoo's prices are rounded to single
precision after they were divided by splits, and its histories are mended and broken without notice; were the newest
answer taken, last year's returns would differ from one download to the next. What a later answer tells otherwise is
listed instead. To take it, remove the older answer from the raw data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from allocator_pipeline.errors import IncompleteDataError, MarketDataError
from allocator_pipeline.market.live.adjust import growth
from allocator_pipeline.market.live.chart import AGREEMENT, BAR, Chart, read_chart
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore, fetch_again

SOURCE = "yahoo"
_JOINT = 5
"""Of so many common sessions next to new ones, one at least has to agree."""


@dataclass(frozen=True)
class DailyBars:
    """The history of one symbol.

    Parameters
    ----------
    bars : DataFrame
        ``date``, ``open``, ``high``, ``low``, ``close`` (USD) and ``volume`` (shares) as traded, rising in date.
    actions : DataFrame
        `schemas.CORPORATE_ACTIONS`.
    rewritten : DataFrame
        ``date, symbol, before, after, difference_bp``: total returns as first told, as told later, and how far apart
        (basis points), where that is over 50 or only one of them has a dividend; by the first later answer to say so.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    rewritten: pd.DataFrame


def daily_bars(store: RawStore, symbol: str, listings: Sequence[Listing]) -> DailyBars:
    """Derive a symbol's history from the answers kept.

    An answer counts in the spans of the listings, whichever of its tickers the company had then: Yahoo keeps its whole
    past under the present one. New sessions are left out, and so are still missing, where an answer stands on another
    scale than what is known (`require_joined` refuses it beforehand).

    Parameters
    ----------
    store : RawStore
        With answers about that company only (`own.OwnAnswers`).
    symbol : str
    listings : sequence of Listing
        Of that symbol, in time order.

    Returns
    -------
    DailyBars

    Raises
    ------
    CorruptArtifactError
        If a file of the raw data cannot be trusted.
    VendorError, IncompleteDataError
        If an answer cannot be read, though it was kept.
    MarketDataError
        If an answer has bars from after the end of the last listing.
    """
    known, differences = _fold(_charts(store, symbol), listings)
    told = known.reset_index(names="date").melt("date", ["dividend", "split"], "kind", "value")
    told = told[told["value"] != told["kind"].map({"dividend": 0.0, "split": 1.0})]
    told = told.assign(symbol=symbol, source=SOURCE).sort_values(["date", "kind"], ignore_index=True)
    rewritten = differences.assign(symbol=symbol)
    return DailyBars(
        known[list(BAR)].reset_index(names="date"),
        told[["date", "symbol", "kind", "value", "source"]],
        rewritten[["date", "symbol", "before", "after", "difference_bp"]],
    )


def require_joined(
    store: RawStore, symbol: str, listings: Sequence[Listing], body: bytes, fetched_at: datetime
) -> None:
    """Refuse an answer that does not fit on what is known, before it is kept.

    So it is when Yahoo has divided its prices by a split that it does not list yet, or lists one by which it has not
    divided them.

    Raises
    ------
    IncompleteDataError
        Naming symbol, date, and the records known before that the sessions next to the new ones come from.
    MarketDataError
        As `daily_bars`.
    """
    known, _ = _fold(_charts(store, symbol), listings)
    chart = read_chart(body, fetched_at)
    told = _inside(chart, listings)
    added = told.index.difference(known.index)
    lost = added.difference(_joined(known, told).index)
    if len(lost):
        common = known.index.intersection(told.index)
        beside = common[-_JOINT:] if lost[-1] > common[0] else common[:_JOINT]
        kept = dict.fromkeys(told_by(store, symbol, day.date()) for day in beside)
        raise IncompleteDataError(
            f"Yahoo's prices up to {fetched_at.date()} are on another scale than those known before, and no split that "
            f"it lists explains it; {len(lost)} sessions from {lost[0].date()} cannot be joined.",
            todo="run it again in a day or two; if it stays, compare both with another source: once the vendor has "
            f"mended what it told before, {fetch_again(kept)}.",
            source=SOURCE,
            symbol=symbol,
        )


def told_by(store: RawStore, symbol: str, day: date) -> str:
    """Return the record of the first answer that has a bar of a session, as `RawStore.place` names it.

    Raises
    ------
    MarketDataError
        If no answer has.
    """
    for record, body in store.bodies(RawKey(SOURCE, "bars", symbol)):
        if pd.Timestamp(day) in read_chart(body, record.fetched_at).sessions.index:
            return store.place(record)
    raise MarketDataError(
        "No answer has a bar of that day.", todo="materialise yahoo_bars.", source=SOURCE, symbol=symbol, week=str(day)
    )


def _charts(store: RawStore, symbol: str) -> Iterable[Chart]:
    return (read_chart(body, record.fetched_at) for record, body in store.bodies(RawKey(SOURCE, "bars", symbol)))


def _fold(charts: Iterable[Chart], listings: Sequence[Listing]) -> tuple[pd.DataFrame, pd.DataFrame]:
    known = pd.DataFrame(
        columns=[*BAR, "dividend", "split"], index=pd.DatetimeIndex([], dtype="datetime64[us]"), dtype=float
    )
    differences = [pd.DataFrame({"date": known.index, "before": known["close"], "after": known["close"]})]
    for chart in charts:
        told = _inside(chart, listings)
        differences.append(_differences(known, told, listings[-1].symbol))
        known = pd.concat([known, _joined(known, told)]).sort_index()
    table = pd.concat(differences, ignore_index=True).drop_duplicates("date")
    table["difference_bp"] = (table["after"] - table["before"]).abs() * 1e4
    return known, table.sort_values("date", ignore_index=True)


def _inside(chart: Chart, listings: Sequence[Listing]) -> pd.DataFrame:
    days = chart.sessions.index
    _require_end(chart, listings[-1])
    inside = pd.Series(False, index=days)
    for listing in listings:
        last = days[-1] if listing.last is None else pd.Timestamp(listing.last)
        inside |= (days >= pd.Timestamp(listing.first)) & (days <= last)
    return chart.sessions[inside]


def _require_end(chart: Chart, listing: Listing) -> None:
    """Refuse a chart that goes on after the listing has ended: its ticker may have been given away."""
    last = chart.sessions.index[-1].date()
    if listing.last is None or last <= listing.last:
        return
    raise MarketDataError(
        f"Yahoo has bars of {listing.ticker} up to {last}, but the listing ends on {listing.last}: that ticker means "
        "another company today, or the listing goes on.",
        todo="mend the column to of the candidates, or leave the symbol out: Yahoo no longer has what it meant then.",
        source=SOURCE,
        symbol=listing.symbol,
    )


def _joined(known: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """Return the sessions that an answer adds."""
    common, added = known.index.intersection(told.index), told.index.difference(known.index)
    if len(common):
        agrees = (told["close"][common] / known["close"][common] - 1).abs() <= AGREEMENT
        if not agrees[:_JOINT].any():
            added = added[added > common[0]]
        if not agrees[-_JOINT:].any():
            added = added[added < common[0]]
    return told.loc[added]


def _differences(known: pd.DataFrame, told: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Return the total returns, of the same pairs of sessions, that two tellings put differently.

    A dividend that one of them does not have counts, however small.
    """
    if told.empty:
        return pd.DataFrame({"date": told.index, "before": 0.0, "after": 0.0})
    both = (
        _returns(known.loc[told.index[0] :], symbol)
        .add_suffix("_before")
        .join(_returns(told, symbol).add_suffix("_after"), how="inner")
    )
    both = both[both["since_before"] == both["since_after"]]
    yields = both[["yield_before", "yield_after"]]
    other = (yields["yield_after"] - yields["yield_before"]).abs() > AGREEMENT * yields.max(axis=1) + 1e-9
    other |= (both["return_after"] - both["return_before"]).abs() > AGREEMENT
    both = both[other].rename(columns={"return_before": "before", "return_after": "after"})
    return both[["before", "after"]].reset_index(names="date")


def _returns(sessions: pd.DataFrame, symbol: str) -> pd.DataFrame:
    grown, closes = growth(sessions, SOURCE, symbol), sessions["close"]
    return pd.DataFrame(
        {
            "return": grown * closes / closes.shift() - 1,
            "yield": 1 - sessions["split"] / grown,
            "since": sessions.index.to_series().shift(),
        }
    )
