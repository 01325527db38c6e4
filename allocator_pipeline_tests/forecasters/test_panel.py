from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.forecasters import panel


def test_execution_is_the_adjusted_open_or_the_adjusted_close(market):
    split = market.copy()
    split["adj_close"] = split["close"] / 2
    opens, closes = panel.price_panel(split, has_open=True), panel.price_panel(split, has_open=False)
    first = split[split["date"] == split["date"].iloc[0]]
    np.testing.assert_allclose(opens.execution[0, :16], first["open"] / 2)
    np.testing.assert_array_equal(closes.execution, closes.close)
    np.testing.assert_array_equal(closes.close[0, :16], first["adj_close"])


def test_a_split_does_not_look_like_heavy_trading(market):
    """Four times as many shares change hands at a quarter of the price, and the adjusted close goes on."""
    split = market.copy()
    after = split["date"] >= split["date"].iloc[len(split) // 2]
    split.loc[after, ["open", "high", "low", "close"]] /= 4
    split.loc[after, "volume"] *= 4
    before = panel.price_panel(market, True, fields=panel.BAR_FIELDS)
    split_four = panel.price_panel(split, True, fields=panel.BAR_FIELDS)
    for name in panel.BAR_FIELDS:
        np.testing.assert_allclose(split_four.fields[name], before.fields[name], rtol=1e-12)


def test_a_symbol_without_a_bar_is_nan_and_symbols_are_sorted(market):
    chosen = panel.price_panel(market, False, ["S05", "S02", "S05", "NONE"])
    assert chosen.symbols == ("NONE", "S02", "S05")
    assert np.isnan(chosen.close[:, 0]).all()
    assert np.isfinite(chosen.close[:, 1:]).all()


def test_training_bars_end_at_the_first_decision(market):
    bars = panel.training_bars(market, 2015)
    assert bars["date"].max() == pd.Timestamp("2015-01-02")
    assert bars["date"].min() == pd.Timestamp("2009-01-02")


@pytest.mark.parametrize("year", [2004, 2017])
def test_bars_that_do_not_reach_the_first_decision_are_an_error(market, year):
    with pytest.raises(NotEnoughDataError, match=f"first decision of {year}"):
        panel.training_bars(market, year)


def test_the_digest_sees_every_price(market):
    whole = panel.price_panel(market, True)
    changed = market.copy()
    changed.loc[1234, "open"] *= 1 + 1e-12
    assert panel.price_panel(changed, True).digest() != whole.digest()
    assert panel.price_panel(market, True).digest() == whole.digest()
