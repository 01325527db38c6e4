"""Alpaca's data as it comes: pages of news and of daily bars, read strictly; several pages make one answer.

Format: https://docs.alpaca.markets/reference/news-3 and https://docs.alpaca.markets/reference/stockbars.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Protocol, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from allocator_pipeline.errors import IncompleteDataError, UnsafeNameError, VendorDownError, VendorError
from allocator_pipeline.market.source import NEW_YORK

ALPACA = "alpaca"
_EASTERN = ZoneInfo(NEW_YORK)
_TICKER = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z0-9]{1,4})?")

_Price = Annotated[FiniteFloat, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Article(_Strict):
    """A news article; its text is not to be trusted, and may hold HTML."""

    id: Annotated[int, Field(ge=0)]
    headline: str
    summary: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    symbols: list[str]

    @property
    def known_at(self) -> datetime:
        """When this text was known: its last change, for nobody can tell what it said before."""
        return max(self.created_at, self.updated_at)


class NewsPage(_Strict):
    """One page of articles, by the time of their last change."""

    news: list[Article]
    next_page_token: str | None

    def items(self) -> Iterable[Hashable]:
        """Return what tells articles apart."""
        return (article.id for article in self.news)


class Bar(_Strict):
    """A daily bar (USD, shares), adjusted for all corporate actions."""

    t: AwareDatetime
    o: _Price
    h: _Price
    l: _Price  # noqa: E741  (the vendor's name)
    c: _Price
    v: Annotated[FiniteFloat, Field(ge=0)]

    @property
    def day(self) -> date:
        """The session; bars are stamped with its midnight in New York."""
        return self.t.astimezone(_EASTERN).date()


class BarsPage(_Strict):
    """One page of bars by ticker."""

    bars: dict[str, list[Bar]]
    next_page_token: str | None

    def items(self) -> Iterable[Hashable]:
        """Return what tells bars apart."""
        return ((ticker, bar.t) for ticker, bars in self.bars.items() for bar in bars)


class _Page(Protocol):
    next_page_token: str | None

    def items(self) -> Iterable[Hashable]: ...


class Chain:
    """Follows page tokens to their end.

    Parameters
    ----------
    kind, ticker : str
        For messages.
    """

    def __init__(self, kind: str, ticker: str) -> None:
        self.kind, self.ticker = kind, ticker
        self.tokens: set[str] = set()
        self.seen: set[Hashable] = set()

    def follow(self, page: _Page) -> str | None:
        """Return the token of the next page, or None after the last one.

        Raises
        ------
        VendorError
            If a token comes back, or a page that is not the last one brings nothing new: it would never end.
        """
        token, items = page.next_page_token, set(page.items())
        if token is not None:
            if not token or token in self.tokens:
                raise nonsense(self.kind, self.ticker, "a page token repeats, or is empty")
            if items <= self.seen:
                raise nonsense(self.kind, self.ticker, "a page brings nothing new and says that there is more")
            self.tokens.add(token)
        self.seen |= items
        return token


def alpaca_ticker(ticker: str) -> str:
    """Return a ticker as Alpaca writes it: classes of shares follow a dot (``BRK.B``).

    Raises
    ------
    UnsafeNameError
        If it is no ticker of a share.
    """
    given = ticker.replace("-", ".") if isinstance(ticker, str) else ""
    if not _TICKER.fullmatch(given):
        raise UnsafeNameError(
            f"{str(ticker)[:60]!r} is no ticker of a share at Alpaca.", todo="mend it in the list of candidates."
        )
    return given


def span(first: date, last: date) -> tuple[datetime, datetime]:
    """Return the first and the last instant of some days in New York."""
    start = datetime.combine(first, time.min, tzinfo=_EASTERN)
    return start, datetime.combine(last + timedelta(days=1), time.min, tzinfo=_EASTERN) - timedelta(microseconds=1)


def read_news(body: bytes, ticker: str, first: date, last: date) -> NewsPage:
    """Read a page of news about a ticker.

    Parameters
    ----------
    body : bytes
    ticker : str
        As `alpaca_ticker` returns it.
    first, last : date
        In New York, both included.

    Raises
    ------
    VendorError
        If it is no such page, or holds an article that does not name the ticker or neither appeared nor changed in
        those days.
    """
    page = _parsed(NewsPage, body, "news", ticker)
    start, end = span(first, last)
    for article in page.news:
        if ticker not in (re.sub("[-/]", ".", symbol) for symbol in article.symbols):
            raise nonsense("news", ticker, f"article {article.id} is not about it")
        if article.created_at > end or article.known_at < start:
            raise nonsense("news", ticker, f"article {article.id} is not from {first} to {last}")
    return page


def read_bars(body: bytes, ticker: str, first: date, last: date) -> BarsPage:
    """Read a page of daily bars of a ticker; see `read_news`."""
    page = _parsed(BarsPage, body, "bars", ticker)
    if set(page.bars) - {ticker}:
        raise nonsense("bars", ticker, "there are bars of another ticker")
    if any(not first <= bar.day <= last for bar in page.bars.get(ticker, [])):
        raise nonsense("bars", ticker, f"there are bars that are not from {first} to {last}")
    return page


def joined(pages: Sequence[bytes]) -> bytes:
    """Return ``{"pages": [...]}`` of JSON texts, each as it came."""
    return b'{"pages":[' + b",".join(pages) + b"]}"


class _News(_Strict):
    pages: list[NewsPage]


class _Bars(_Strict):
    pages: list[BarsPage]


def news_in(body: bytes, ticker: str) -> list[Article]:
    """Return the articles of a whole answer, in its order; one that moved between pages may be there twice."""
    pages = _parsed(_News, body, "news", ticker).pages
    _check_end(pages, "news", ticker)
    return [article for page in pages for article in page.news]


def bars_in(body: bytes, ticker: str) -> dict[date, float]:
    """Return the adjusted closes of a whole answer by day."""
    pages = _parsed(_Bars, body, "bars", ticker).pages
    _check_end(pages, "bars", ticker)
    bars = [bar for page in pages for bar in page.bars.get(ticker, [])]
    if any(later.day <= earlier.day for earlier, later in pairwise(bars)):
        raise nonsense("bars", ticker, "its days do not rise")
    return {bar.day: bar.c for bar in bars}


def _check_end(pages: Sequence[_Page], kind: str, ticker: str) -> None:
    chain = Chain(kind, ticker)
    tokens = [chain.follow(page) for page in pages]
    if not tokens or tokens[-1] is not None or None in tokens[:-1]:
        raise IncompleteDataError(
            "An answer lacks its last page.",
            todo="remove it and fetch it again.",
            source=f"alpaca {kind}",
            symbol=ticker,
        )


_Model = TypeVar("_Model", bound=BaseModel)


def _parsed(model: type[_Model], body: bytes, kind: str, ticker: str) -> _Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:60]
        # not the error itself, which holds what was sent
        why = f"it cannot be read ({first['type']}{f' at {place}' if place else ''})"
        error_kind = VendorDownError if first["type"] == "json_invalid" else VendorError
    raise nonsense(kind, ticker, why, error_kind)


def nonsense(kind: str, ticker: str, why: str, error_kind: type[VendorError] = VendorError) -> VendorError:
    """Return the error for an answer that cannot be right."""
    return error_kind(
        f"What Alpaca answers about {kind} cannot be used: {why}.",
        todo="run it again later; if it stays like this, report it to Alpaca.",
        source=f"alpaca {kind}",
        symbol=ticker,
    )
