"""Yahoo's chart service on loopback: daily bars divided by the splits of the day on which they are asked for."""

from __future__ import annotations

import json
from urllib.parse import unquote

import numpy as np
import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline_tests.vendors.server import Asked, Reply, VendorServer

PATH = "/v8/finance/chart/"
NEW_YORK = "America/New_York"
BAR = ("open", "high", "low", "close", "volume")


class Yahoo(VendorServer):
    """Answers as ``/v8/finance/chart/`` does.

    Parameters
    ----------
    bars : DataFrame
        ``symbol`` (Yahoo's ticker), ``date``, ``open``, ``high``, ``low``, ``close`` (USD), ``volume`` (shares), as
        traded.
    actions : DataFrame
        ``symbol``, ``date``, ``kind`` (``"dividend"`` in USD a share, ``"split"``), ``value``.
    now : Timestamp
        The vendor's present, with a time zone; may be set anew. The real present if None.
    """

    def __init__(self, bars: pd.DataFrame, actions: pd.DataFrame, now: pd.Timestamp | None = None) -> None:
        self.bars = {symbol: table.sort_values("date") for symbol, table in bars.groupby("symbol")}
        self.actions = dict(list(actions.groupby("symbol")))
        self.now = now
        super().__init__(self._chart)

    def _chart(self, asked: Asked) -> Reply:
        ticker = unquote(asked.path).removeprefix(PATH)
        if not unquote(asked.path).startswith(PATH) or ticker not in self.bars:
            return _error(404, "Not Found", "No data found, symbol may be delisted")
        try:
            first, last = (
                pd.Timestamp(int(asked.query[name]), unit="s", tz="UTC").tz_convert(NEW_YORK).tz_localize(None)
                for name in ("period1", "period2")
            )
        except (KeyError, ValueError):
            return _error(422, "Unprocessable Entity", "Invalid input - range or period1 and period2 are wanted")
        body = chart(self.bars[ticker], self.actions.get(ticker), ticker, first, last, self.now or calendar.now())
        if body is None:
            words = f"Data doesn't exist for startDate = {asked.query['period1']}, endDate = {asked.query['period2']}"
            return _error(400, "Bad Request", words)
        return Reply(body)


def chart(
    bars: pd.DataFrame,
    actions: pd.DataFrame | None,
    ticker: str,
    first: pd.Timestamp,
    last: pd.Timestamp,
    now: pd.Timestamp,
) -> bytes | None:
    """Return Yahoo's answer for one ticker at an instant; None where there is nothing in that span."""
    days = pd.DatetimeIndex(bars["date"])
    opens = _opens(days)
    happened = bars[(days >= first.normalize()) & (days < last) & (opens <= now)].set_index("date")
    if happened.empty:
        return None
    stamps = _seconds(_opens(pd.DatetimeIndex(happened.index)))
    told = _none(actions)
    told = told[told["date"] <= now.tz_convert(NEW_YORK).tz_localize(None)]
    splits = told[told["kind"] == "split"].set_index("date")["value"]
    factors = {"bar": _after(splits, happened.index), "action": _after(splits, pd.DatetimeIndex(told["date"]))}
    values = happened[list(BAR)].astype("float64").copy()
    values[list(BAR[:4])] = values[list(BAR[:4])].div(factors["bar"], axis=0)
    values["volume"] = values["volume"] * factors["bar"]
    live = calendar.closes(pd.DatetimeIndex(happened.index[-1:]))[0] > now
    if live:  # the bar of a session that goes on carries the moment of its last trade
        stamps[-1] = int(now.timestamp())
        values.iloc[-1, values.columns.get_loc("volume")] //= 2
        values.iloc[-1, values.columns.get_loc("close")] = values["open"].iloc[-1]
    inside = ((told["date"] >= first.normalize()) & (told["date"] < last)).to_numpy()
    events = _events(told[inside], factors["action"][inside])
    result = {
        "meta": {
            "currency": "USD",
            "symbol": ticker,
            "exchangeName": "NMS",
            "instrumentType": "INDEX" if ticker.startswith("^") else "EQUITY",
            "firstTradeDate": _seconds(opens[:1])[0],
            "regularMarketTime": stamps[-1],
            "gmtoffset": -18000,
            "timezone": "EST",
            "exchangeTimezoneName": NEW_YORK,
            "regularMarketPrice": _float32(values["close"])[-1],
            "dataGranularity": "1d",
            "range": "",
        },
        "timestamp": stamps,
        **({"events": events} if events else {}),
        "indicators": {
            "quote": [
                {**{name: _float32(values[name]) for name in BAR[:4]}, "volume": [round(v) for v in values["volume"]]}
            ],
            "adjclose": [{"adjclose": _float32(_adjusted(values["close"], events))}],
        },
    }
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def _none(actions: pd.DataFrame | None) -> pd.DataFrame:
    empty = pd.DataFrame({"date": pd.DatetimeIndex([]), "kind": pd.Series(dtype=str), "value": pd.Series(dtype=float)})
    return empty if actions is None else actions.sort_values("date")


def _opens(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return (days + pd.Timedelta(hours=9, minutes=30)).tz_localize(NEW_YORK)


def _seconds(moments: pd.DatetimeIndex) -> list[int]:
    return [int(moment.timestamp()) for moment in moments]


def _after(splits: pd.Series, days: pd.DatetimeIndex) -> np.ndarray:
    """Return the product of the splits after each day."""
    order = splits.sort_index()
    products = np.r_[np.cumprod(order.to_numpy()[::-1])[::-1], 1.0]
    return products[order.index.searchsorted(days, side="right")]


def _float32(values: pd.Series) -> list[float]:
    return [float(value) for value in values.to_numpy(dtype="float32")]


def _events(actions: pd.DataFrame, factors: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    events: dict[str, dict[str, dict[str, float]]] = {}
    stamps = _seconds(_opens(pd.DatetimeIndex(actions["date"])))
    for stamp, kind, value, factor in zip(stamps, actions["kind"], actions["value"], factors, strict=True):
        if kind == "dividend":
            event = {"amount": value / factor, "date": stamp}
        else:
            event = {"date": stamp, "numerator": value, "denominator": 1.0, "splitRatio": f"{value:g}:1"}
        events.setdefault(f"{kind}s", {})[str(stamp)] = event
    return events


def _adjusted(closes: pd.Series, events: dict[str, dict[str, dict[str, float]]]) -> pd.Series:
    """Return closes divided by the dividends after them too, as Yahoo does it."""
    days = {pd.Timestamp(event["date"], unit="s"): event["amount"] for event in events.get("dividends", {}).values()}
    paid = pd.Series({day.normalize(): amount for day, amount in days.items()}, dtype=float).reindex(closes.index)
    kept = (1 - paid / closes.shift()).fillna(1.0)
    return closes * kept[::-1].cumprod().shift(fill_value=1.0)[::-1]


def _error(status: int, code: str, description: str) -> Reply:
    words = {"chart": {"result": None, "error": {"code": code, "description": description}}}
    return Reply(json.dumps(words).encode(), status)
