"""What a week pays, by hand and over a market."""

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.features.outcomes import execution_prices, next_decisions, outcomes_table, weekly_outcomes
from allocator_pipeline.market import calendar
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.universe import universe_of
from allocator_pipeline.schemas import OUTCOMES, validate


def at(prices: pd.DataFrame, symbol: str, day: str) -> pd.Series:
    return prices[(prices["symbol"] == symbol) & (prices["date"] == day)].iloc[0]


def test_a_week_by_hand_with_opens(tables):
    prices = tables.prices.assign(adj_close=tables.prices["close"] * 0.5)
    returns, marks = weekly_outcomes(2017, tables.universe, prices, has_open=True)
    row = calendar.weeks_of_year(2017)["week"].tolist().index(pd.Timestamp("2017-05-22"))
    symbol = tables.universe["symbol"][4]
    bought, sold = at(prices, symbol, "2017-05-22"), at(prices, symbol, "2017-05-30")  # Memorial Day is the 29th
    seen = at(prices, symbol, "2017-05-26")

    assert returns[row, 4] == pytest.approx(sold["open"] / bought["open"] - 1, abs=1e-12)
    assert marks[row, 4] == pytest.approx(seen["close"] / bought["open"] - 1, abs=1e-12)


def test_without_opens_the_close_of_the_first_session_fills():
    market = SampleMarket()
    prices = pd.concat([market.prices(year) for year in (2000, 2001, 2002)], ignore_index=True)
    universe = universe_of(2001, pd.concat([market.prices(year) for year in range(1990, 2001)], ignore_index=True))
    returns, marks = weekly_outcomes(2001, universe, prices, has_open=False)
    row = calendar.weeks_of_year(2001)["week"].tolist().index(pd.Timestamp("2001-09-10"))
    symbol = universe["symbol"][0]
    change = at(prices, symbol, "2001-09-17")["close"] / at(prices, symbol, "2001-09-10")["close"] - 1

    assert returns[row, 0] == pytest.approx(change, abs=1e-12)
    assert (marks[row] == 0).all(), "a week of one session, filled at its close, has shown nothing by the next decision"
    assert np.isfinite(returns).all()
    assert returns.shape == (53, 15)


def test_returns_chain_to_the_whole_year(tables):
    returns, _ = weekly_outcomes(2017, tables.universe, tables.prices, has_open=True)
    weeks = calendar.weeks_of_year(2017)
    for slot, symbol in enumerate(tables.universe["symbol"]):
        first = at(tables.prices, symbol, weeks["execution_session"].iloc[0])["open"]
        last = at(tables.prices, symbol, weeks["exit_session"].iloc[-1])["open"]
        assert np.prod(1 + returns[:, slot]) == pytest.approx(last / first)


@pytest.mark.parametrize(
    ("end", "weeks", "known_returns", "known_marks"),
    [
        ("2017-05-26", 22, 20, 21),  # Friday: the week that ends is marked; its exit comes on Tuesday
        ("2017-05-30", 22, 21, 21),  # the exit's session has closed
        ("2017-05-25", 21, 20, 20),  # Thursday: the next week is not decidable
    ],
)
def test_what_is_not_known_yet_is_nan(tables, end, weeks, known_returns, known_marks):
    returns, marks = weekly_outcomes(2017, tables.universe, tables.prices[tables.prices["date"] <= end], has_open=True)

    assert len(returns) == len(marks) == weeks
    assert np.isfinite(returns).all(axis=1).tolist() == [True] * known_returns + [False] * (weeks - known_returns)
    assert np.isfinite(marks).all(axis=1).tolist() == [True] * known_marks + [False] * (weeks - known_marks)


def test_the_sample_ends_where_its_prices_do():
    market = SampleMarket()
    universe = universe_of(2022, pd.concat([market.prices(year) for year in (2019, 2020, 2021)], ignore_index=True))
    prices = pd.concat([market.prices(2021), market.prices(2022)], ignore_index=True)
    returns, marks = weekly_outcomes(2022, universe, prices, has_open=False)

    assert len(returns) == 52
    assert np.isfinite(returns[:-1]).all()
    assert np.isnan(returns[-1]).all()
    assert np.isnan(marks[-1]).all()


@pytest.mark.parametrize("day", ["2017-05-22", "2017-05-26"])
def test_a_price_that_is_due_but_missing_names_symbol_and_week(tables, day):
    symbol = tables.universe["symbol"][3]
    gone = (tables.prices["symbol"] == symbol) & (tables.prices["date"] == day)

    with pytest.raises(MarketDataError, match=f"symbol={symbol}, week=2017-05-") as caught:
        weekly_outcomes(2017, tables.universe, tables.prices[~gone], has_open=True)
    assert "never a zero return" in str(caught.value)


def test_later_prices_do_not_change_known_outcomes(tables):
    cut = pd.Timestamp("2017-06-30")
    later = tables.prices.copy()
    numbers = ["open", "high", "low", "close", "adj_close"]
    later.loc[later["date"] > cut, numbers] *= np.random.default_rng(1).uniform(
        0.5, 2, ((later["date"] > cut).sum(), 1)
    )
    before = weekly_outcomes(2017, tables.universe, tables.prices[tables.prices["date"] <= cut], has_open=True)
    after = weekly_outcomes(2017, tables.universe, later, has_open=True)
    for one, two in zip(before, after, strict=True):
        known = np.isfinite(one)
        assert (one[known] == two[: len(one)][known]).all()


def test_next_decisions_precede_the_exit():
    weeks = calendar.weeks_of_year(2015)
    following = next_decisions(weeks)

    assert (following < weeks["exit_session"]).all()
    assert (following >= weeks["execution_session"]).all()
    assert following.tolist()[:-1] == weeks["decision_session"].tolist()[1:]


def test_execution_prices_are_adjusted_as_the_close_is():
    bar = pd.DataFrame({"open": [10.0], "close": [20.0], "adj_close": [5.0]})

    assert execution_prices(bar, has_open=True).tolist() == [2.5]
    assert execution_prices(bar, has_open=False).tolist() == [5.0]


def test_the_table_holds_the_same_by_week_and_slot(tables):
    prices = tables.prices[tables.prices["date"] <= "2017-06-01"]
    returns, marks = weekly_outcomes(2017, tables.universe, prices, has_open=True)
    table = validate(outcomes_table(2017, tables.universe, prices, has_open=True), OUTCOMES, "test")

    np.testing.assert_array_equal(table["return"].to_numpy().reshape(-1, 15), returns)
    np.testing.assert_array_equal(table["mark"].to_numpy().reshape(-1, 15), marks)
    assert table["symbol"].head(15).tolist() == tables.universe["symbol"].tolist()
    assert table["slot"].tolist() == list(range(15)) * len(returns)
