"""Real prices behind the server: downloaded in parts across their splits, they come out as they went in."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.clients.yahoo import YahooClient
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.adjust import adjusted
from allocator_pipeline.market.live.bars import daily_bars, require_joined
from allocator_pipeline.market.live.completeness import require_sessions, second_source_disagreements
from allocator_pipeline.market.live.jumps import jump_warnings
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.vendors.yahoo import Yahoo

FIRST, LAST = date(2010, 1, 4), date(2022, 12, 30)
SPANS = ((FIRST, date(2012, 6, 29)), (date(2012, 6, 15), date(2018, 3, 29)), (date(2018, 3, 15), LAST))
MIS_SCALED = {"ABT", "KO", "NKE", "UNP"}
"""The second source does not divide the dividends paid before a split by it."""

SOME = (*sorted(MIS_SCALED), "AAPL", "AMD", "GE", "T")


def table(folder: Path, name: str) -> pd.DataFrame:
    found = pd.read_parquet(folder / name)
    return found.assign(date=pd.to_datetime(found["date"]).dt.as_unit("us"))


def source(folder: Path, name: str, symbols) -> pd.DataFrame:
    prices = table(folder, "prices_daily.parquet")
    return prices[(prices["source"] == name) & prices["symbol"].isin(symbols)].sort_values("date")


def as_traded(prices: pd.DataFrame, told: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Undo an adjustment, total returns staying: bars as traded, and actions in dollars and shares of their day."""
    days, closes = prices["date"], prices["close"].to_numpy()
    told = told.set_index("date")[["dividends", "split_ratio"]].reindex(days, fill_value=0.0)
    split = told["split_ratio"].replace(0.0, 1.0).to_numpy()
    later = np.r_[np.cumprod(split[::-1])[::-1][1:], 1.0]
    paid = told["dividends"].to_numpy()
    traded = closes.copy()
    for row in range(len(closes) - 1, 0, -1):
        traded[row - 1] = traded[row] * closes[row - 1] / closes[row] + paid[row]
    factor = traded * later / closes
    bars = prices[["symbol", "date"]].copy()
    for name in ("open", "high", "low", "close"):
        bars[name] = prices[name] * factor
    bars["volume"] = prices["volume"] / later
    actions = pd.DataFrame({"date": days.to_numpy(), "dividend": paid * later, "split": split}).melt(
        "date", var_name="kind"
    )
    return bars, actions[actions["value"] != actions["kind"].map({"dividend": 0.0, "split": 1.0})]


def downloaded(folder: Path, root: Path, symbols) -> tuple[pd.DataFrame, list[str]]:
    told = table(folder, "corporate_actions.parquet")
    truth = dict(list(source(folder, "Clashrohit/algo-US", symbols).groupby("symbol")))
    made = {name: as_traded(prices, told[told["symbol"] == name]) for name, prices in truth.items()}
    bars = pd.concat([bars for bars, _ in made.values()])
    actions = pd.concat([actions.assign(symbol=name) for name, (_, actions) in made.items()])
    store, parts, warnings = RawStore(root), [], []
    with Yahoo(bars, actions) as yahoo:
        for first, last in SPANS:
            yahoo.now = pd.Timestamp(last + timedelta(days=1), tz="UTC") + pd.Timedelta(hours=6)
            client = YahooClient({"ALLOCATOR_YAHOO_URL": yahoo.url}, now=lambda: yahoo.now)
            for name in truth:
                answer, listings = client.bars(name, first, last), [Listing(name, name, FIRST)]
                require_joined(store, name, listings, answer.body, answer.fetched_at)
                key, at = RawKey("yahoo", "bars", name), answer.fetched_at
                store.put(key, answer.body, fetched_at=at, first=first, last=last, request=answer.request)
        assert len(yahoo.requests) == len(SPANS) * len(truth)
    for name, prices in truth.items():
        listings = [Listing(name, name, FIRST)]
        found = daily_bars(store, name, listings)
        assert found.rewritten.empty
        require_sessions(name, pd.DatetimeIndex(found.bars["date"]), listings, LAST, "yahoo")
        whole = adjusted(found.bars, found.actions)
        returns = [values.pct_change().to_numpy()[1:] for values in (whole["adj_close"], prices["close"])]
        np.testing.assert_allclose(*returns, atol=1e-6)
        warnings += jump_warnings(name, whole, "yahoo")
        parts.append(whole.assign(symbol=name))
    return pd.concat(parts, ignore_index=True), warnings


def check(folder: Path, root: Path, symbols) -> pd.DataFrame:
    prices, warnings = downloaded(folder, root, symbols)
    assert warnings == ["AMD 2016-04-22: moved +52%."]
    assert len(prices) == len(set(prices["symbol"])) * len(calendar.sessions(FIRST, LAST))
    second = source(folder, "luisgrivas/findata", symbols).assign(scale=1)
    found = second_source_disagreements(prices, second)
    direct = second_source_disagreements(source(folder, "Clashrohit/algo-US", symbols), second)
    pd.testing.assert_frame_equal(found, direct, atol=0.05, rtol=0)
    assert set(found["symbol"]) >= MIS_SCALED
    return found


def test_eight_symbols_and_every_disagreement_with_the_second_source(shared_data, tmp_path):
    found = check(shared_data, tmp_path, SOME)
    assert found["symbol"].value_counts().to_dict() == {
        "NKE": 13,
        "ABT": 12,
        "KO": 10,
        "UNP": 10,
        "AAPL": 8,
        "T": 4,
        "GE": 2,
    }


@pytest.mark.slow
def test_all_symbols_and_every_disagreement_with_the_second_source(shared_data, tmp_path):
    symbols = set(table(shared_data, "prices_daily.parquet")["symbol"])
    assert len(symbols) == 52
    found = check(shared_data, tmp_path, symbols)
    assert len(found) == 72
