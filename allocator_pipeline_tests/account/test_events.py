import pytest

from allocator_pipeline.account.events import Balance, Event
from allocator_pipeline.config import CASH
from allocator_pipeline.errors import MarketDataError


def test_events_change_what_is_held_and_what_is_gone_is_not_named() -> None:
    held = Balance(100.0, {"A": 2.0}).after(
        [Event("2019-01-07", "fill", -30.0, {"B": 3.0}), Event("2019-01-07", "fill", 20.0, {"A": -2.0})]
    )
    assert held == Balance(90.0, {"B": 3.0})
    assert held.value({"B": 10.0}) == 120.0
    assert held.weights({"B": 10.0}) == {"B": 0.25, CASH: 0.75}
    assert held.after([held.emptied("2019-01-08")]) == Balance()


def test_a_position_without_a_price_is_named() -> None:
    with pytest.raises(MarketDataError) as caught:
        Balance(0.0, {"A": 1.0}).value({})
    assert caught.value.symbol == "A"
