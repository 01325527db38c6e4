"""The generated market: reproducible, extendable, and with a signal of the stated strength."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import SimulatedConfig
from allocator_pipeline.errors import ConfigurationError, NotEnoughDataError
from allocator_pipeline.features.outcomes import weekly_outcomes
from allocator_pipeline.features.signals import weekly_signals
from allocator_pipeline.market import calendar
from allocator_pipeline.market.simulated import SimulatedMarket, planted_signal
from allocator_pipeline.market.universe import universe_of

CONFIG = SimulatedConfig(start=date(2015, 1, 1), end=date(2017, 6, 7))
TABLES = ("prices", "sentiment", "fundamentals")


def weekly(config: SimulatedConfig, years: range) -> tuple[np.ndarray, np.ndarray]:
    """Return news_sentiment and the return of the week that follows, each of shape (weeks, 15)."""
    market = SimulatedMarket(config)
    prices = pd.concat([market.prices(year) for year in market.coverage().years], ignore_index=True)
    seen, earned = [], []
    for year in years:
        universe = universe_of(year, prices)
        news = pd.concat([market.sentiment(year - 1), market.sentiment(year)])
        signals = weekly_signals(year, universe, news, market.fundamentals(year), prices["date"].max())
        returns, _ = weekly_outcomes(year, universe, prices, has_open=True)
        whole = np.isfinite(returns).all(axis=1)
        seen.append(signals["news_sentiment"].to_numpy().reshape(-1, 15)[whole])
        earned.append(returns[whole])
    return np.concatenate(seen), np.concatenate(earned)


def information_coefficient(seen: np.ndarray, earned: np.ndarray) -> tuple[float, float]:
    """Return the mean weekly cross-sectional correlation and its standard error."""
    values = [np.corrcoef(a, b)[0, 1] for a, b in zip(seen, earned, strict=True)]
    return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))


@pytest.mark.parametrize("table", TABLES)
def test_the_same_seed_gives_the_same_market(table):
    one, two = (getattr(SimulatedMarket(CONFIG), table)(2016) for _ in range(2))
    other = getattr(SimulatedMarket(replace(CONFIG, seed=8)), table)(2016)

    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("end", [date(2017, 6, 8), date(2017, 6, 9), date(2018, 3, 1)])
def test_a_longer_market_begins_with_the_shorter_one(table, end):
    short, long = SimulatedMarket(CONFIG), SimulatedMarket(replace(CONFIG, end=end))

    pd.testing.assert_frame_equal(getattr(short, table)(2016), getattr(long, table)(2016))
    before, after = getattr(short, table)(2017), getattr(long, table)(2017)
    pd.testing.assert_frame_equal(before, after.iloc[: len(before)])


def test_a_table_does_not_depend_on_what_else_was_asked_for():
    market = SimulatedMarket(CONFIG)
    market.sentiment(2015)
    market.prices(2017)

    pd.testing.assert_frame_equal(market.sentiment(2016), SimulatedMarket(CONFIG).sentiment(2016))


def test_bars_are_whole(simulated):
    prices = simulated.prices(2016)

    assert prices["date"].nunique() == 252
    assert list(prices["symbol"].unique()) == [f"SIM{i:02d}" for i in range(20)]
    assert (prices["high"] >= prices[["open", "close"]].max(axis=1)).all()
    assert (prices["low"] <= prices[["open", "close"]].min(axis=1)).all()
    assert (prices["volume"] > 0).all()
    assert simulated.coverage().has_open
    assert simulated.coverage().has_volume


def test_it_ends_with_the_last_session_closed_by_now():
    config = replace(CONFIG, end=None)
    before = SimulatedMarket(config, now=pd.Timestamp("2017-06-07 19:59", tz="UTC"))
    after = SimulatedMarket(config, now=pd.Timestamp("2017-06-08 01:30", tz="Asia/Kolkata"))  # 20:00 UTC: the close

    assert before.coverage().last_session == date(2017, 6, 6)
    assert after.coverage().last_session == date(2017, 6, 7)
    assert not after.coverage().static
    assert SimulatedMarket(CONFIG).coverage().static
    pd.testing.assert_frame_equal(after.prices(2017), SimulatedMarket(CONFIG).prices(2017))


def test_today_is_the_default_end():
    coverage = SimulatedMarket(replace(CONFIG, start=date(2024, 1, 1), end=None)).coverage()

    assert coverage.last_session <= pd.Timestamp.now("UTC").date()


def test_all_news_and_ratios_are_known_by_the_last_close():
    market = SimulatedMarket(CONFIG)
    close = calendar.closes(pd.DatetimeIndex(["2017-06-07"]))[0]

    assert market.sentiment(2017)["published_at"].max() < close
    assert market.fundamentals(2017)["known_at"].max() <= close


def test_articles_appear_before_the_close_of_their_session(simulated):
    news = simulated.sentiment(2016)
    days = pd.DatetimeIndex(news["published_at"].dt.tz_localize(None).dt.normalize())

    assert (news["published_at"].to_numpy() < calendar.closes(days).to_numpy()).all()


def test_planted_signal_has_the_stated_persistence():
    draws = np.random.default_rng(1).standard_normal((3_000, 30))
    for persistence in (0.0, 0.5, 0.9):
        tone, signal = planted_signal(draws, persistence)

        assert np.std(signal) == pytest.approx(1, abs=0.04)
        assert np.std(tone) == pytest.approx(1, abs=0.04)
        assert np.corrcoef(signal[:-1].ravel(), signal[1:].ravel())[0, 1] == pytest.approx(persistence, abs=0.02)


def test_news_sentiment_predicts_next_weeks_return_as_stated():
    """About 0.94 of a stated IC of 0.3 is left to a reader of 15 stocks' news."""
    config = SimulatedConfig(seed=3, start=date(2008, 1, 1), end=date(2016, 12, 30), weekly_ic=0.3)
    seen, earned = weekly(config, range(2010, 2017))
    measured, error = information_coefficient(seen, earned)

    assert error < 0.015
    assert measured == pytest.approx(0.28, abs=3 * error)
    lagged = np.corrcoef(seen[:-1].ravel(), seen[1:].ravel())[0, 1]
    assert lagged == pytest.approx(0.9, abs=0.05)
    passed, error = information_coefficient(seen[5:], earned[:-5])  # what already happened is only remembered weakly
    assert passed < measured - 3 * error


def test_without_a_signal_news_predict_nothing():
    config = SimulatedConfig(seed=3, start=date(2008, 1, 1), end=date(2016, 12, 30), weekly_ic=0.0)
    measured, error = information_coefficient(*weekly(config, range(2010, 2017)))

    assert abs(measured) < 3 * error
    assert "No signal" in " ".join(SimulatedMarket(config).coverage().notes)


def test_impossible_markets_are_refused(simulated):
    with pytest.raises(ConfigurationError, match="no closed session"):
        SimulatedMarket(replace(CONFIG, end=date(2014, 1, 1)))
    with pytest.raises(ConfigurationError, match="seed"):
        SimulatedMarket(replace(CONFIG, seed=-1))
    with pytest.raises(NotEnoughDataError, match="2018"):
        simulated.prices(2018)
