"""Alpaca's market data API on loopback: news and daily bars, page by page, out of tables."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from allocator_pipeline_tests.vendors.server import Asked, Reply, VendorServer

KEYS = {"APCA_API_KEY_ID": "PKCANARYKEY", "APCA_API_SECRET_KEY": "canary/SECRET+value"}
NEW_YORK = "America/New_York"


class AlpacaData:
    """What the vendor holds, and how it answers.

    Parameters
    ----------
    news : DataFrame, optional
        ``article_id`` (a whole number), ``symbol`` (one or several, with commas), ``published_at`` (UTC), ``text``; if
        they are there ``updated_at`` and ``summary``. Texts travel as HTML; that of ``html``, if it is there, as it is.
    bars : DataFrame, optional
        ``date``, ``symbol``, ``close``, adjusted for all corporate actions; if they are there open, high, low, volume.
    keys : mapping of str to str
        By the variables that hold them.
    per_minute : int, optional
        Requests that are answered in a minute.
    """

    def __init__(
        self,
        news: pd.DataFrame | None = None,
        bars: pd.DataFrame | None = None,
        keys: Mapping[str, str] = KEYS,
        per_minute: int | None = None,
    ) -> None:
        self.keys, self.per_minute, self.minute = keys, per_minute, (0, 0)
        self.news: dict[str, list[dict[str, Any]]] = {}
        self.bars: dict[str, list[dict[str, Any]]] = {}
        for row in [] if news is None else news.to_dict("records"):
            article = _article(row)
            for symbol in article["symbols"]:
                self.news.setdefault(symbol, []).append(article)
        self.places = {one["id"]: _place(one) for articles in self.news.values() for one in articles}
        for row in [] if bars is None else bars.sort_values("date").to_dict("records"):
            self.bars.setdefault(row["symbol"], []).append(_bar(row))

    def server(self) -> VendorServer:
        """Return a server that answers so."""
        return VendorServer(self.answer)

    def env(self, server: VendorServer) -> dict[str, str]:
        """Return what a client needs to know."""
        return {**self.keys, "ALLOCATOR_ALPACA_DATA_URL": server.url}

    def answer(self, asked: Asked) -> Reply:
        """Answer as the vendor does."""
        given = (asked.headers.get("apca-api-key-id"), asked.headers.get("apca-api-secret-key"))
        if None in given:
            return _json({"message": "unauthorized."}, 401)
        if given != (self.keys["APCA_API_KEY_ID"], self.keys["APCA_API_SECRET_KEY"]):
            return _json({"message": "forbidden."}, 403)
        if self._limited():
            return _json({"message": "too many requests."}, 429, {"X-RateLimit-Reset": str((self.minute[0] + 1) * 60)})
        route = {"/v1beta1/news": self._news, "/v2/stocks/bars": self._bars}.get(asked.path)
        if route is None:
            return _json({"message": "endpoint not found."}, 404)
        try:
            return route(asked.query)
        except (KeyError, ValueError) as error:
            return _json({"message": f"invalid request: {type(error).__name__}"}, 400)

    def _limited(self) -> bool:
        now = int(time.time() // 60)
        self.minute = (now, self.minute[1] + 1 if self.minute[0] == now else 1)
        return self.per_minute is not None and self.minute[1] > self.per_minute

    def _news(self, query: Mapping[str, str]) -> Reply:
        start, end, limit = *_span(query), _limit(query, 10, 50)
        symbols = [symbol for symbol in query.get("symbols", "").split(",") if symbol]
        found = {one["id"]: one for symbol in symbols for one in self.news.get(symbol, [])}
        places = {self.places[number]: one for number, one in found.items()}
        order = sorted(
            (place for place in places if start.value <= int(place[:20]) <= end.value),
            reverse=query.get("sort", "desc").lower() != "asc",
        )
        if "page_token" in query:
            order = order[order.index(base64.b64decode(query["page_token"], validate=True).decode()) + 1 :]
        page = [places[place] for place in order[:limit]]
        if query.get("include_content") != "true":
            page = [{**one, "content": ""} for one in page]
        token = base64.b64encode(order[limit - 1].encode()).decode() if len(order) > limit else None
        return _json({"news": page, "next_page_token": token})

    def _bars(self, query: Mapping[str, str]) -> Reply:
        start, end, limit = *_span(query), _limit(query, 1000, 10_000)
        if query["timeframe"] != "1Day" or query.get("adjustment") != "all" or query.get("feed", "sip") != "sip":
            return _json({"message": "only daily bars, adjusted, of all exchanges are here"}, 422)
        rows = [
            (f"{symbol}|D|{bar['t']}", symbol, bar)
            for symbol in sorted(query["symbols"].split(","))
            for bar in self.bars.get(symbol, [])
            if start <= pd.Timestamp(bar["t"]) <= end
        ]
        if "page_token" in query:
            seen = base64.b64decode(query["page_token"], validate=True).decode()
            rows = rows[[place for place, *_ in rows].index(seen) + 1 :]
        bars: dict[str, list[dict[str, Any]]] = {}
        for _, symbol, bar in rows[:limit]:
            bars.setdefault(symbol, []).append(bar)
        token = base64.b64encode(rows[limit - 1][0].encode()).decode() if len(rows) > limit else None
        return _json({"bars": bars, "next_page_token": token})


def _article(row: Mapping[str, Any]) -> dict[str, Any]:
    created = pd.Timestamp(row["published_at"])
    updated = row.get("updated_at")
    return {
        "id": int(row["article_id"]),
        "headline": row.get("html", html.escape(row["text"])),
        "author": "",
        "created_at": _moment(created),
        "updated_at": _moment(created if updated is None or pd.isna(updated) else pd.Timestamp(updated)),
        "summary": html.escape(row.get("summary") or ""),
        "content": "<p>All of it.</p><script>alert(1)</script>",
        "url": f"https://news.example/{row['article_id']}",
        "images": [],
        "symbols": row["symbol"].split(","),
        "source": "benzinga",
    }


def _bar(row: Mapping[str, Any]) -> dict[str, Any]:
    close = float(row["close"])
    midnight = pd.Timestamp(row["date"]).tz_localize(NEW_YORK).tz_convert("UTC")
    return {
        "t": midnight.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{name[0]: float(row.get(name, close)) for name in ("open", "high", "low")},
        "c": close,
        "v": int(row.get("volume", 0)),
        "n": 1,
        "vw": close,
    }


def _place(article: Mapping[str, Any]) -> str:
    """Where an article stands: what a page token holds."""
    return f"{pd.Timestamp(article['updated_at']).value:020d}|{article['id']:012d}"


def _moment(instant: pd.Timestamp) -> str:
    text = instant.tz_convert("UTC").isoformat()
    return text.replace("+00:00", "Z")


def _span(query: Mapping[str, str]) -> tuple[pd.Timestamp, pd.Timestamp]:
    start = pd.Timestamp(query.get("start", "2015-01-01T00:00:00Z"))
    return start, pd.Timestamp(query["end"]) if "end" in query else pd.Timestamp.now("UTC")


def _limit(query: Mapping[str, str], default: int, most: int) -> int:
    limit = int(query.get("limit", default))
    if not 1 <= limit <= most:
        raise ValueError(limit)
    return limit


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})
