"""Forward adjustment: total returns, and nothing known later changes an earlier value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.live.adjust import adjusted

DAYS = pd.DatetimeIndex(pd.to_datetime(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"])).as_unit("us")


def bars(*closes):
    return pd.DataFrame({"date": DAYS[: len(closes)], "close": np.array(closes, dtype="float64")})


def actions(*rows):
    table = pd.DataFrame(rows, columns=["position", "kind", "value"])
    return table.assign(date=DAYS[table["position"].astype(int)], symbol="ACME", source="test")


def test_without_actions_the_close_is_its_own_adjusted_close():
    assert list(adjusted(bars(10, 11, 12), actions())["adj_close"]) == [10, 11, 12]


def test_a_split_is_no_return_and_a_dividend_is_one():
    found = adjusted(bars(100, 26, 24.7), actions((1, "split", 4.0), (2, "dividend", 1.3)))
    returns = found["adj_close"].pct_change()
    assert returns[1] == pytest.approx(0.04)
    assert returns[2] == pytest.approx(24.7 / (26 - 1.3) - 1)


def test_a_dividend_on_the_day_of_a_split_is_paid_on_the_new_shares():
    found = adjusted(bars(100, 50), actions((1, "split", 2.0), (1, "dividend", 1.0)))
    assert found["adj_close"][1] == pytest.approx(100 * 50 * 2 / (100 - 2 * 1.0))


def test_actions_before_the_first_bar_or_without_a_bar_count_for_nothing():
    found = adjusted(bars(100, 50), actions((0, "split", 2.0), (3, "dividend", 1.0)))
    assert list(found["adj_close"]) == [100, 50]


def test_a_dividend_as_large_as_the_price_is_refused():
    with pytest.raises(MarketDataError, match="2020-01-03"):
        adjusted(bars(1, 1), actions((1, "dividend", 1.0)))


@settings(max_examples=100, deadline=None)
@given(
    closes=st.lists(st.floats(5, 500), min_size=4, max_size=4),
    told=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["split", "dividend"]), st.floats(0.1, 4)), max_size=6),
)
def test_what_comes_later_changes_nothing_before(closes, told):
    once = {(position, kind): (position, kind, value) for position, kind, value in told}.values()
    whole = adjusted(bars(*closes), actions(*once))
    for count in (1, 2, 3):
        before = adjusted(bars(*closes[:count]), actions(*(row for row in once if row[0] < count)))
        pd.testing.assert_frame_equal(before, whole[:count])
