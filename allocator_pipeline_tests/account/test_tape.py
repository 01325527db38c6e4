"""Traded prices, and what dividends and splits do to a share."""

from __future__ import annotations

import pandas as pd
import pytest

from allocator_pipeline.account.tape import Tape
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline_tests.account.market import SYMBOLS, Made, make_market

MARKET = make_market(7)
FIRST, LAST = pd.Timestamp("2019-01-02"), pd.Timestamp("2019-12-30")


def growth(tape: Tape) -> dict[str, float]:
    """Return what one share of each stock has become over the year."""
    found = dict.fromkeys(SYMBOLS, 1.0)
    for action in tape.actions(FIRST, LAST, SYMBOLS):
        found[action.symbol] *= action.growth
    return found


def test_the_adjustment_of_prices_and_the_actions_behind_it_say_the_same() -> None:
    one, other = (growth(MARKET.tape(itemised=itemised)) for itemised in (False, True))
    assert one == pytest.approx(other, rel=1e-12)
    assert max(one.values()) > 1.5
    assert {action.kind for action in MARKET.tape().actions(FIRST, LAST, SYMBOLS)} == {"adjustment"}


def test_returns_are_those_of_traded_prices_and_shares() -> None:
    tape = MARKET.tape(itemised=True)
    bought, sold, grown = tape.fills(FIRST, SYMBOLS), tape.fills(LAST, SYMBOLS), growth(tape)
    found = [grown[symbol] * sold[symbol] / bought[symbol] - 1.0 for symbol in SYMBOLS]
    assert tape.returns(FIRST, LAST, list(SYMBOLS)) == pytest.approx(found, abs=1e-12)


def test_a_split_and_a_dividend_of_one_day_are_taken_in_that_order() -> None:
    day = pd.Timestamp("2019-03-06")
    rows = {"date": [day] * 2, "symbol": ["S00"] * 2, "kind": ["dividend", "split"], "value": [1.0, 2.0]}
    tape = Tape(MARKET.prices, True, pd.DataFrame({**rows, "source": ["x"] * 2}))
    split, dividend = tape.actions(FIRST, LAST, ["S00"])
    close = tape.closes(pd.Timestamp("2019-03-05"), ["S00"])["S00"] / 2.0
    assert (split.kind, split.growth, dividend.kind) == ("split", 2.0, "dividend")
    assert dividend.growth == pytest.approx(close / (close - 1.0), rel=1e-15)


def test_no_session_between_means_no_action() -> None:
    for itemised in (False, True):
        assert MARKET.tape(itemised=itemised).actions(FIRST, FIRST, SYMBOLS) == []


def test_what_has_no_price_is_named() -> None:
    holed = Made(MARKET.prices[MARKET.prices["date"] != LAST], MARKET.actions)
    assert holed.tape().priced(FIRST, ["S00", "GONE"]) == {"S00"}
    assert holed.tape().priced(LAST, ["S00"]) == set()
    for tape, symbol in ((holed.tape(), "S00"), (MARKET.tape(), "GONE")):
        with pytest.raises(MarketDataError, match="2019-12-30") as caught:
            tape.fills(LAST, [symbol])
        assert caught.value.symbol == symbol
