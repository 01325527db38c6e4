"""After the end of a listing its holders have its last price, as cash, and no universe takes it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.features.outcomes import weekly_outcomes
from allocator_pipeline.market import calendar
from allocator_pipeline.market.liquidity import rank_by_liquidity
from allocator_pipeline.market.live.proceeds import with_proceeds
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.schemas import PRICES, validate

SYMBOLS = [f"S{i:02d}" for i in range(16)]
LAST = date(2020, 3, 31)


def history(symbol: str, end: str | None = None) -> pd.DataFrame:
    days = calendar.sessions("2018-01-02", LAST if end is None else end)
    generator = np.random.default_rng(SYMBOLS.index(symbol))
    close = 50 * np.exp(np.cumsum(generator.normal(0, 0.01, len(days))))
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return pd.DataFrame({"date": days, **prices, "volume": 1e6, "adj_close": 2 * close})


def market(ended: str, end: str) -> pd.DataFrame:
    """Return the prices of sixteen stocks of which one ends."""
    parts = []
    for symbol in SYMBOLS:
        gone = symbol == ended
        listing = Listing(symbol, symbol, date(2018, 1, 2), date.fromisoformat(end) if gone else None)
        parts.append(with_proceeds(history(symbol, end if gone else None), [listing], LAST).assign(symbol=symbol))
    table = pd.concat(parts).sort_values(["date", "symbol"], ignore_index=True)[list(PRICES.columns)]
    return validate(table.astype({"date": "datetime64[us]", "symbol": "str", "source": "str"}), PRICES, "test")


@pytest.mark.parametrize("end", ["2019-05-15", "2019-12-27", "2019-12-30", "2019-12-31"])
def test_weeks_after_the_end_pay_nothing_and_the_one_of_it_pays_up_to_the_last_close(end):
    prices = market("S03", end)
    universe = pd.DataFrame({"slot": range(15), "symbol": SYMBOLS[:15]})
    returns, marks = weekly_outcomes(2019, universe, prices, has_open=True)
    weeks = calendar.weeks_of_year(2019)
    assert np.isfinite(returns).all()
    assert np.isfinite(marks).all()
    after = (weeks["execution_session"] > pd.Timestamp(end)).to_numpy()
    assert (returns[after, 3] == 0).all()
    assert (marks[after, 3] == 0).all()
    row = int(np.flatnonzero(~after)[-1])
    own = history("S03", end).set_index("date")["adj_close"]
    bought = own[weeks["execution_session"].iloc[row]]
    assert returns[row, 3] == pytest.approx(own.iloc[-1] / bought - 1)
    assert (returns[:, 4] != 0).all()


@pytest.mark.parametrize("end", ["2019-05-15", "2019-12-30"])
def test_it_cannot_come_into_the_next_universe(end):
    prices = market("S03", end)
    ranking = rank_by_liquidity(prices[prices["date"] < "2020-01-01"])
    assert "S03" not in set(ranking["symbol"])
    assert len(ranking) == 15


def test_one_that_ends_on_the_last_session_of_a_year_has_prices_for_the_next_universe():
    ended = Listing("S03", "S03", date(2018, 1, 2), date(2018, 12, 31))
    bars = with_proceeds(history("S03", "2018-12-31"), [ended], LAST)
    assert bars["date"].iloc[-1] == calendar.weeks_of_year(2019)["exit_session"].iloc[-1]


def test_bars_go_on_to_the_exit_of_the_years_last_week_and_say_what_they_are():
    ended = Listing("S03", "S03", date(2018, 1, 2), date(2019, 5, 15))
    bars = with_proceeds(history("S03", "2019-05-15"), [ended], LAST)
    carried = bars[bars["source"] == "proceeds"]
    assert bars["date"].iloc[-1] == calendar.weeks_of_year(2019)["exit_session"].iloc[-1]
    assert (carried["volume"] == 0).all()
    assert carried["adj_close"].nunique() == 1
    assert list(bars["date"]) == list(calendar.sessions("2018-01-02", bars["date"].iloc[-1]))


@pytest.mark.parametrize("again", ["2019-09-03", "2020-02-03"])
def test_the_last_close_stands_until_a_stock_is_listed_again(again):
    old = Listing("S03", "S03", date(2018, 1, 2), date(2019, 5, 15))
    new = Listing("S03", "S03", date.fromisoformat(again))
    own = history("S03")
    own = own[(own["date"] <= "2019-05-15") | (own["date"] >= again)]
    bars = with_proceeds(own, [old, new], LAST)
    assert list(bars["date"]) == list(calendar.sessions("2018-01-02", LAST))
    between = bars[bars["source"] == "proceeds"]
    assert between["close"].unique().tolist() == [own.loc[own["date"] == "2019-05-15", "close"].item()]
    renamed = with_proceeds(history("S03"), [old, Listing("S03", "S03X", date(2019, 5, 16))], LAST)
    assert set(renamed["source"]) == {"yahoo"}


def test_nothing_is_carried_on_for_a_listing_that_goes_on_or_beyond_the_last_session():
    own = history("S03")
    for last in (None, LAST, date(2030, 1, 1)):
        kept = with_proceeds(own, [Listing("S03", "S03", date(2018, 1, 2), last)], LAST)
        pd.testing.assert_frame_equal(kept.drop(columns="source"), own)
    early = date(2019, 6, 3)
    cut = with_proceeds(
        history("S03", "2019-05-15"), [Listing("S03", "S03", date(2018, 1, 2), date(2019, 5, 15))], early
    )
    assert cut["date"].iloc[-1] == pd.Timestamp(early)
