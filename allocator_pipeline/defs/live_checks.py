"""Asset checks of a live market: what is doubtful in its prices, and what its vendors have nothing of.

They warn: a vendor that disagrees may be the one that is wrong, genuine moves over 40 % exist, and so do companies
that nobody writes about. A warning is about every stored year (`check_result`).
"""

from collections.abc import Callable
from datetime import date
from functools import partial

import dagster as dg

from allocator_pipeline.defs.check_results import check_result
from allocator_pipeline.defs.partitions import Partitions
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.market import gaps
from allocator_pipeline.market.live.needs import QUARTERLY, SERIES, Need
from allocator_pipeline.market.quality import DISAGREES, JUMPS, LACKS, REWRITTEN, VOLUMES

DOUBTS = {
    "jumps_are_explained": (JUMPS, "Moves over 40 % that no dividend or split explains, to be looked at."),
    "history_is_as_first_seen": (REWRITTEN, "Returns that a later answer tells otherwise; the first one counts."),
    "volumes_are_told": (VOLUMES, "Stocks whose price moves while most sessions of the year have no volume."),
    "second_source_agrees": (DISAGREES, "Daily returns more than 50 basis points from those of another vendor."),
    "second_source_is_whole": (LACKS, "Sessions with a bar for which the other vendor has none."),
}
COMPARING = (DISAGREES, LACKS)
"""Kinds of doubts that need a second source."""

Problems = Callable[[AssetStore, MarketResource, str], list[str]]
"""What is doubtful in a year, from what is stored and the market."""


def live_checks(partitions: Partitions, feeds: tuple[str, ...]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a live market with these feeds."""
    warning = partial(_warning, partitions)
    checks = [
        warning("price_doubts", name, description, partial(_doubts, kind))
        for name, (kind, description) in DOUBTS.items()
        if kind not in COMPARING or "alpaca_bars" in feeds
    ]
    words = "Stocks of the year's universe, once it is made, without an article in the year."
    checks.append(warning("sentiment", "stocks_are_in_the_news", words, _silent))
    for feed in feeds:
        words = (
            "What is due by the listing and not there: sessions of bars and series, quarters of filings, days of news."
        )
        checks.append(warning(feed, "due_is_there", words, partial(_not_there, feed)))
        if feed in QUARTERLY:
            words = "Candidates of which no quarter became known in the year."
            checks.append(warning("fundamentals", "candidates_have_quarters", words, partial(_without_quarters, feed)))
        if feed in SERIES:
            words = "Series that lack values on more sessions of the year than bonds have holidays."
            checks.append(warning("macro", "series_have_values", words, partial(_thin_series, feed)))
    return checks


def _warning(
    partitions: Partitions, asset: str, name: str, description: str, problems: Problems
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, description=description)
    def check(context: dg.AssetCheckExecutionContext, store: StoreResource, market: MarketResource):
        of_year = partial(problems, store.assets, market)
        return check_result(
            context, store.assets, asset, partitions.market_years, of_year, severity=dg.AssetCheckSeverity.WARN
        )

    return check


def _doubts(kind: str, store: AssetStore, market: MarketResource, key: str) -> list[str]:
    doubts = store.read("price_doubts", key)
    return doubts.loc[doubts["kind"] == kind, "told"].tolist()


def _silent(store: AssetStore, market: MarketResource, key: str) -> list[str]:
    stocks = store.read("universe", key)["symbol"].tolist() if store.has("universe", key) else []
    return gaps.silent_stocks(store.read("sentiment", key), stocks, _needs("alpaca_news", market, key))


def _without_quarters(feed: str, store: AssetStore, market: MarketResource, key: str) -> list[str]:
    return gaps.without_quarters(store.read("fundamentals", key), _needs(feed, market, key))


def _thin_series(feed: str, store: AssetStore, market: MarketResource, key: str) -> list[str]:
    return gaps.thin_series(store.read("macro", key), _needs(feed, market, key), market.live_market.settled)


def _not_there(feed: str, store: AssetStore, market: MarketResource, key: str) -> list[str]:
    return gaps.not_there(store.read(feed, key))


def _needs(feed: str, market: MarketResource, key: str) -> list[Need]:
    return market.live_market.needs(feed, date(int(key), 1, 1), date(int(key), 12, 31))
