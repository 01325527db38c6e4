"""Thirteen years of 52 real stocks behind the vendors: fetched, compared with a second source, and made into states."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import LiveConfig, Settings
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.market.live import needs
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline.market.quality import DISAGREES, JUMPS
from allocator_pipeline.market.sources import open_live
from allocator_pipeline_tests.vendors.together import Vendors, write_candidates
from allocator_pipeline_tests.vendors.truth import Truth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

OURS, THEIRS = "Clashrohit/algo-US", "luisgrivas/findata"
FIGURES = [
    "revenue",
    "gross_profit",
    "operating_income",
    "net_income",
    "current_assets",
    "current_liabilities",
    "equity",
]


def real(folder: Path) -> tuple[Truth, pd.DataFrame]:
    """Return the truth, and the closes of another source, continued by ours where it ends."""
    prices = pd.read_parquet(folder / "prices_daily.parquet")
    prices["date"] = pd.to_datetime(prices["date"]).astype("datetime64[us]")
    bars = prices[prices["source"] == OURS].drop(columns="source").sort_values(["date", "symbol"], ignore_index=True)
    for name in ("open", "high", "low", "close"):
        bars[name] = bars[name].astype("float32").astype("float64")
    bars["adj_close"] = bars["close"]
    ours = bars.pivot(index="date", columns="symbol", values="close")
    theirs = prices[prices["source"] == THEIRS].pivot(index="date", columns="symbol", values="adj_close")
    moves = theirs.reindex(index=ours.index, columns=ours.columns).pct_change(fill_method=None)
    levels = 100 * (1 + moves.fillna(ours.pct_change(fill_method=None)).fillna(0)).cumprod()
    second = levels.reset_index().melt("date", var_name="symbol", value_name="close")
    actions = pd.DataFrame({"symbol": [], "date": pd.DatetimeIndex([]), "kind": [], "value": []})
    series = pd.DataFrame({"series": "SP500", "date": ours.index, "value": ours.mean(axis=1).to_numpy()})
    return Truth(bars, actions, tweets(folder, set(ours.columns)), filed(folder, set(ours.columns)), series), second


def tweets(folder: Path, symbols: set[str]) -> pd.DataFrame:
    news = pd.read_parquet(folder / "news.parquet")
    news = news[news["symbol"].isin(symbols) & (news["published_at"].dt.year == 2015)].reset_index(drop=True)
    return pd.DataFrame(
        {
            "article_id": np.arange(1, len(news) + 1),
            "symbol": news["symbol"],
            "published_at": news["published_at"],
            "text": news["headline"],
        }
    )


def filed(folder: Path, symbols: set[str]) -> pd.DataFrame:
    """Return quarters: filings, and where there are statements these; one stock has neither and gets another's."""
    table = pd.read_parquet(folder / "fundamentals.parquet")
    table = table[table["symbol"].isin(symbols) & table["report_date"].notna()]
    for name in ("period_end", "report_date"):
        table[name] = pd.to_datetime(table[name])
    table = table[table["report_date"] > table["period_end"]]
    table["quarter"] = table["period_end"].dt.to_period("Q")
    table = table.sort_values("kind").drop_duplicates(["symbol", "quarter"])  # Alpha Vantage comes first
    lacking = symbols - set(table["symbol"])
    table = pd.concat([table, *(table[table["symbol"] == "XOM"].assign(symbol=name) for name in sorted(lacking))])
    year = table["period_end"].dt.year
    for name in FIGURES:  # a year is told whole or not at all
        whole = table[name].notna().groupby([table["symbol"], year]).transform("all")
        table[name] = table[name].where(whole)
    known = table["report_date"].dt.tz_localize("UTC") + pd.Timedelta(hours=17)
    return table[["symbol", "period_end", *FIGURES]].assign(known_at=known)


@pytest.fixture(scope="module")
def made(shared_data, tmp_path_factory):
    """Return the settings of a market that has been fetched and made into states, and what the second source says."""
    folder = tmp_path_factory.mktemp("real")
    truth, second = real(shared_data)
    with Vendors(truth, second) as vendors, pytest.MonkeyPatch.context() as patched:
        for name, value in vendors.env.items():
            patched.setenv(name, value)
        patched.setenv("DAGSTER_HOME", str(folder / "home"))
        patched.setattr(needs, "ALPACA_BARS_SINCE", date(2010, 1, 1))  # these tell of earlier days than Alpaca
        config = LiveConfig(
            write_candidates(folder / "candidates.csv", vendors.ciks),
            start=date(2010, 1, 1),
            end=date(2022, 12, 30),
            scorer="vader",
            macro="off",
        )
        settings = Settings(market="live", data_dir=folder / "data", live=config, min_training_years=3)
        dagster_home(settings)
        for feed in feeds_of(config):
            run_task(Task(feed, (feed,), "2010", "2022"), settings)
        asked = vendors.asked
        run_task(Task("tables", ("prices", "sentiment", "fundamentals", "price_doubts"), "2010", "2022"), settings)
        features = ("universe", "signals", "outcomes", "price_windows")
        run_task(Task("features", features, "2015", "2022"), settings)
        states = ("forecasts", "state_tensors")
        run_task(Task("states", states, "ridge|2015", "ridge|2022"), settings)
        assert vendors.asked == asked, "tables, features and states ask nobody anything"
    return settings, truth, second


def test_fifty_two_stocks_and_thirteen_years_are_there_to_the_last_session(made):
    settings, truth, _ = made
    market = open_live(settings)
    tables = pd.concat([market.prices(year) for year in range(2010, 2023)], ignore_index=True)
    assert tables["symbol"].nunique() == 52
    assert len(tables) == len(truth.bars) == 170_144
    assert (tables["close"].to_numpy() == truth.bars["close"].to_numpy()).all()


def test_every_disagreement_over_50_basis_points_is_listed_and_no_other(made):
    settings, truth, second = made
    store = StoreResource(root=str(settings.market_dir.absolute())).assets
    doubts = pd.concat([store.read("price_doubts", str(year)) for year in range(2010, 2023)], ignore_index=True)
    listed = set(map(tuple, doubts.loc[doubts["kind"] == DISAGREES, ["symbol", "date"]].to_numpy()))

    ours = truth.bars.pivot(index="date", columns="symbol", values="adj_close")
    theirs = second.pivot(index="date", columns="symbol", values="close")
    apart = (ours.pct_change() - theirs.pct_change()).abs() > 50e-4
    expected = {(symbol, day) for day, row in apart.iterrows() for symbol in row.index[row]}
    assert listed == expected
    assert len(expected) > 20, "there are known ones"
    assert {"KO", "NKE", "ABT", "UNP"} <= {symbol for symbol, _ in listed}


def test_a_genuine_jump_is_named_and_believed(made):
    settings, _, _ = made
    store = StoreResource(root=str(settings.market_dir.absolute())).assets
    doubts = store.read("price_doubts", "2016")
    jumps = doubts[doubts["kind"] == JUMPS]
    assert ("AMD", pd.Timestamp("2016-04-22")) in set(map(tuple, jumps[["symbol", "date"]].to_numpy()))


def test_weekly_states_are_built_of_them(made):
    settings, _, _ = made
    store = StoreResource(root=str(settings.market_dir.absolute())).assets
    for year in range(2015, 2023):
        states = store.read("state_tensors", f"ridge|{year}")
        assert len(states) >= 51
    signals = store.read("signals", "2015")
    assert signals["news_sentiment"].notna().mean() > 0.5
    assert store.read("signals", "2018")["net_margin"].notna().mean() > 0.5
