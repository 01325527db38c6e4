"""The embedded market: real closes from a file of the package, and news that know nothing."""

import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.market import calendar, sample
from allocator_pipeline.market.news import uninformed_news
from allocator_pipeline.market.sample import BANKS, SampleMarket
from allocator_pipeline.market.sources import open_market


def test_coverage_is_what_the_package_holds():
    coverage = SampleMarket().coverage()
    closes = sample._closes()

    assert coverage.symbols == tuple(closes.columns)
    assert coverage.first_session == closes.index[0].date()
    assert coverage.last_session == closes.index[-1].date()
    assert list(closes.index) == list(calendar.sessions(coverage.first_session, coverage.last_session))
    assert coverage.static
    assert coverage.simulated == ("news", "fundamentals")
    notes = " ".join(coverage.notes)
    assert "surviv" in notes
    assert "halal" in notes
    assert "simulated" in notes


def test_it_uses_neither_network_nor_home(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SKFOLIO_DATA", raising=False)
    sample._closes.cache_clear()
    market = open_market(Settings())

    assert len(market.prices(2000)) == 252 * 20
    market.sentiment(2000)
    market.fundamentals(2000)
    assert list(Path(tmp_path).iterdir()) == []


def test_bars_have_closes_only():
    prices = SampleMarket().prices(2022)

    assert prices["date"].max() == pd.Timestamp("2022-12-28")
    assert (prices["close"] == prices["adj_close"]).all()
    assert prices[["open", "high", "low", "volume"]].isna().all(axis=None)


@pytest.mark.parametrize("year", [1989, 2023])
def test_years_without_prices_are_refused(year):
    with pytest.raises(NotEnoughDataError, match=str(year)):
        SampleMarket().prices(year)


def test_a_table_does_not_depend_on_what_else_was_asked_for():
    market, other = SampleMarket(), SampleMarket()
    for year in range(1990, 1996):
        other.sentiment(year)
        other.fundamentals(year)

    pd.testing.assert_frame_equal(market.sentiment(1996), other.sentiment(1996))
    pd.testing.assert_frame_equal(market.fundamentals(1996), other.fundamentals(1996))


def test_nothing_is_published_after_the_last_session():
    market = SampleMarket()
    end = pd.Timestamp("2022-12-29", tz="UTC")

    assert market.sentiment(2022)["published_at"].max() < end
    assert market.fundamentals(2022)["known_at"].max() < end
    assert market.sentiment(2023).empty
    assert market.fundamentals(2023).empty


def test_banks_lack_two_ratios_and_quarters_are_known_late():
    fundamentals = SampleMarket().fundamentals(2010)
    bank = fundamentals["symbol"].isin(BANKS)

    assert fundamentals.loc[bank, ["gross_margin", "current_ratio"]].isna().all(axis=None)
    assert fundamentals.loc[~bank].notna().all(axis=None)
    assert len(fundamentals) == 20 * 4
    lag = fundamentals["known_at"].dt.tz_localize(None) - fundamentals["period_end"]
    assert lag.min() >= pd.Timedelta(days=25)
    assert lag.max() < pd.Timedelta(days=46)


def test_the_fixed_universe_is_fifteen_of_the_twenty():
    chosen = SampleMarket().fixed_universe()

    assert len(set(chosen)) == 15
    assert set(chosen) <= set(SampleMarket().coverage().symbols)


def test_news_know_nothing_of_future_returns():
    """The mean correlation over 60 draws of the news is zero within its standard error, which is below 0.005."""
    closes = sample._closes().loc["2010":"2012"]
    days = pd.DatetimeIndex(closes.index)
    ahead = (closes.shift(-5) / closes - 1).to_numpy()[:-5]
    ahead = ahead - ahead.mean(axis=1, keepdims=True)
    correlations = []
    for seed in range(60):
        news = uninformed_news(days, closes.columns.tolist(), seed, 2010)
        score = news.assign(day=news["published_at"].dt.strftime("%Y%m%d")).pivot(
            index="day", columns="symbol", values="score"
        )
        score = score[list(closes.columns)].to_numpy()[:-5]
        score = score - score.mean(axis=1, keepdims=True)
        correlations.append(np.corrcoef(score.ravel(), ahead.ravel())[0, 1])
    error = np.std(correlations) / np.sqrt(len(correlations))

    assert abs(np.mean(correlations)) < 3 * error
    assert error < 0.005


def test_generated_fundamentals_know_nothing_of_future_returns():
    closes = sample._closes()
    ahead = (closes.shift(-60) / closes - 1).stack().rename("ahead")
    ahead.index.names = ["day", "symbol"]
    known = pd.concat([SampleMarket().fundamentals(year) for year in range(1991, 2022)])
    known["day"] = known["known_at"].dt.tz_localize(None).dt.normalize()
    levels = known.groupby("symbol")["net_margin"].transform("mean")  # a constant of the company says nothing of when
    paired = known.assign(surprise=known["net_margin"] - levels).merge(ahead.reset_index(), on=["day", "symbol"])

    assert len(paired) > 1_500
    assert abs(np.corrcoef(paired["surprise"], paired["ahead"])[0, 1]) < 3 / np.sqrt(len(paired))
