"""News articles out of what Alpaca has answered: once each, as first read, from when that text was known."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from allocator_pipeline.market.live.alpaca import ALPACA, Article, alpaca_ticker, news_in
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.news import first_tellings
from allocator_pipeline.market.plain_text import MOST_PLAIN, plain_text
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.market.source import NEW_YORK
from allocator_pipeline.schemas import ARTICLES, validate


def articles(store: RawStore, symbol: str, listings: Sequence[Listing]) -> pd.DataFrame:
    """Return the articles about a company.

    An article counts once, as it was first fetched: later changes never replace that text. It was known from its last
    change before it was fetched, since what it said earlier is not on record. What names a ticker that did not mean
    this company when it was published, or when it was last changed, may be about another one. A text that repeats
    another is left out (`news.first_tellings`).

    Parameters
    ----------
    store : RawStore
    symbol : str
    listings : sequence of Listing
        Of this symbol.

    Returns
    -------
    DataFrame
        `schemas.ARTICLES`: sorted by published_at and article_id.

    Raises
    ------
    CorruptArtifactError, VendorError, IncompleteDataError
        If what is stored cannot be read.
    """
    found: dict[int, tuple[str, pd.Timestamp, str] | None] = {}
    for record, body in store.bodies(RawKey(ALPACA, "news", symbol)):
        ticker = record.request["symbols"]
        spans = [one for one in listings if alpaca_ticker(one.ticker) == ticker]
        for article in news_in(body, ticker):
            if article.id not in found:
                found[article.id] = _row(article, spans)
    rows = [row for row in found.values() if row is not None]
    table = pd.DataFrame(
        {
            "article_id": pd.Series([row[0] for row in rows], dtype="str"),
            "symbol": pd.Series(symbol, index=range(len(rows)), dtype="str"),
            "published_at": pd.Series([row[1] for row in rows], dtype="datetime64[us, UTC]"),
            "text": pd.Series([row[2] for row in rows], dtype="str"),
            "source": pd.Series(ALPACA, index=range(len(rows)), dtype="str"),
        }
    )
    table = table.sort_values(["published_at", "article_id"], ignore_index=True)
    return validate(first_tellings(table), ARTICLES, ALPACA)


def _row(article: Article, spans: Sequence[Listing]) -> tuple[str, pd.Timestamp, str] | None:
    known = pd.Timestamp(article.known_at).tz_convert("UTC").as_unit("us")
    for moment in (pd.Timestamp(article.created_at), known):
        day = moment.tz_convert(NEW_YORK).date()
        if not any(one.first <= day and (one.last is None or day <= one.last) for one in spans):
            return None
    text = _text(article)
    return (str(article.id), known, text) if text else None


def _text(article: Article) -> str:
    headline, summary = plain_text(article.headline), plain_text(article.summary)
    return headline if summary in headline else f"{headline} {summary}".strip()[:MOST_PLAIN].rstrip()
