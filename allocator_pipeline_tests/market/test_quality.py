"""What the price checks find."""

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.market.quality import coverage_table, price_problems, price_warnings, session_problems
from allocator_pipeline.market.sample import SampleMarket


def test_good_years_have_no_problems(simulated):
    for market, year in ((SampleMarket(), 1990), (SampleMarket(), 2022), (simulated, 2016)):
        prices, coverage = market.prices(year), market.coverage()

        assert price_problems(prices, year, coverage) == []
        assert session_problems(prices, year, coverage) == []


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("close", -1.0, "close is not a positive number"),
        ("adj_close", np.inf, "adj_close is not a positive number"),
        ("open", np.nan, "open is not a positive number"),
        ("volume", np.nan, "there is no volume"),
        ("high", 0.01, "the high is below the low"),
        ("close", 1e6, "the close lies outside the day's range"),
        ("open", 0.01, "the open lies outside the day's range"),
    ],
)
def test_bad_values_are_named(simulated, column, value, words):
    prices = simulated.prices(2016)
    prices.loc[100, column] = value
    where = f"{prices['symbol'][100]} {prices['date'][100].date()}"

    assert price_problems(prices, 2016, simulated.coverage())[0] == f"{where}: {words}."


def test_missing_doubled_and_impossible_sessions_are_named(simulated):
    prices, coverage = simulated.prices(2016), simulated.coverage()
    day = pd.Timestamp("2016-03-08")
    one = (prices["date"] == day) & (prices["symbol"] == "SIM03")

    assert session_problems(prices[prices["date"] != day], 2016, coverage) == ["2016-03-08: no stock has a bar."]
    assert session_problems(prices[~one], 2016, coverage) == ["2016-03-08: SIM03 lacks a bar."]
    doubled = pd.concat([prices, prices[one]])
    assert session_problems(doubled, 2016, coverage) == ["SIM03 2016-03-08: the bar is there twice."]
    saturday = pd.concat([prices, prices[one].assign(date=pd.Timestamp("2016-03-12"))])
    assert session_problems(saturday, 2016, coverage) == ["2016-03-12: not a session, but there are bars."]


def test_a_stock_that_is_listed_or_delisted_within_the_year_lacks_nothing(simulated):
    prices = simulated.prices(2016)
    listed = (prices["symbol"] == "SIM03") & (prices["date"] < "2016-05-01")
    delisted = (prices["symbol"] == "SIM04") & (prices["date"] > "2016-05-01")

    assert session_problems(prices[~listed & ~delisted], 2016, simulated.coverage()) == []


def test_many_problems_are_cut_short(simulated):
    prices = simulated.prices(2016)
    problems = session_problems(prices[prices["date"] < "2016-06-01"], 2016, simulated.coverage())

    assert len(problems) == 21
    assert "more" in problems[-1]


def test_an_empty_year_is_a_problem(simulated):
    assert price_problems(simulated.prices(2016).iloc[:0], 2016, simulated.coverage()) == ["2016 has no bars."]


def test_jumps_are_warnings(bars):
    walk = np.full(30, 100.0)
    walk[10] = 160.0  # a bad print
    step = np.r_[np.full(15, 100.0), np.full(15, 50.0)]
    warnings = price_warnings(bars({"A": walk, "B": step}))

    assert warnings[0].startswith("A ")
    assert "+60%, taken back in the next session" in warnings[0]
    assert [line for line in warnings if line.startswith("B ")] == [f"B {_day(15)}: moved -50%."]


def _day(position: int) -> str:
    from allocator_pipeline.market import calendar

    return str(calendar.sessions("2015-01-01", "2015-12-31")[position].date())


def test_coverage_counts_bars(simulated):
    table = coverage_table(simulated.prices(2016))

    assert len(table) == 20
    assert set(table["bars"]) == {252}
    assert set(table["first"]) == {"2016-01-04"}
    assert set(coverage_table(SampleMarket().prices(2016))["with_open"]) == {0}
