from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.forecasters import channels, inputs
from allocator_pipeline.forecasters.panel import BAR_FIELDS, PricePanel, fields_held

ALL = tuple(channels.NEEDS)


def bars(days: int = 200, stocks: int = 8, seed: int = 0) -> PricePanel:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * random.standard_normal((days, stocks)), axis=0))
    opened = close * np.exp(0.003 * random.standard_normal(close.shape))
    reach = np.exp(0.002 * np.abs(random.standard_normal(close.shape)))
    fields = {
        "open": opened,
        "high": np.maximum(opened, close) * reach,
        "low": np.minimum(opened, close) / reach,
        "volume": np.exp(10 + 0.4 * random.standard_normal(close.shape)),
    }
    dates = np.datetime64("2010-01-04") + np.arange(days)
    return PricePanel(dates, tuple(f"S{i}" for i in range(stocks)), close, close, fields)


def changed(panel: PricePanel, change) -> PricePanel:
    close = change(panel.close)
    return dataclasses.replace(panel, close=close, fields={name: change(x) for name, x in panel.fields.items()})


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 199), seed=st.integers(0, 1000), holes=st.floats(0, 0.3))
def test_no_row_depends_on_a_later_one(cut, seed, holes):
    random = np.random.default_rng(seed)
    absent = random.random((200, 8)) < holes
    before = changed(bars(seed=seed), lambda values: np.where(absent, np.nan, values))
    later = bars(seed=seed + 1)
    fields = {name: np.r_[before.fields[name][:cut], later.fields[name][cut:]] for name in BAR_FIELDS}
    after = dataclasses.replace(before, close=np.r_[before.close[:cut], later.close[cut:]], fields=fields)
    one, two = inputs.build_inputs(before, ALL), inputs.build_inputs(after, ALL)
    for name in ("values", "usable", "sigma"):
        np.testing.assert_array_equal(getattr(one, name)[:cut], getattr(two, name)[:cut])


@pytest.mark.parametrize("name", ALL)
def test_channels_are_finite_relative_and_scaled(name):
    built = inputs.build_inputs(bars(2000, 50), [name])
    seen = built.values[300:, :, 0]
    assert built.values.dtype == np.float32
    np.testing.assert_allclose(seen.mean(axis=1), 0, atol=1e-6)
    assert 0.1 < seen.std() < 1.6


@settings(max_examples=25, deadline=None)
@given(times=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_the_outlook_grows_with_the_returns(times, seed):
    returns = 0.01 * np.random.default_rng(seed).standard_normal((200, 8))
    np.testing.assert_allclose(inputs.outlook(times * returns), times * inputs.outlook(returns), rtol=1e-9)


def test_the_outlook_is_the_size_of_a_week():
    returns = 0.01 * np.random.default_rng(0).standard_normal((2000, 50))
    expected = 0.01 * 5**0.5 * (2 / np.pi) ** 0.5  # a normal variable's mean absolute value
    np.testing.assert_allclose(np.nanmean(inputs.outlook(returns)), expected, rtol=0.05)


def test_a_restless_market_makes_a_quiet_stock_less_quiet():
    calm = 0.01 * np.random.default_rng(0).standard_normal((200, 8))
    restless = calm.copy()
    restless[-5:, 1:] *= 4
    assert (inputs.outlook(restless)[-1, 0] > 1.1 * inputs.outlook(calm)[-1, 0]).all()


def test_a_fall_is_followed_by_more_than_a_rise_is():
    calm = 0.001 * np.random.default_rng(0).standard_normal((200, 8))
    calm[-3:] = 0.002
    rise, fall = inputs.outlook(calm), inputs.outlook(np.r_[calm[:-3], -calm[-3:]])
    assert (fall[-1] > rise[-1]).all()
    np.testing.assert_array_equal(fall[:-3], rise[:-3])


def test_a_stock_without_a_bar_does_not_move_the_market_of_others():
    returns = 0.01 * np.random.default_rng(0).standard_normal((200, 8))
    returns[150:, 7] = np.nan
    _, _, *market, trend, _ = inputs.outlook_terms(returns)
    _, _, *alone, without, _ = inputs.outlook_terms(returns[:, :7])
    for both, rest in zip(market, alone, strict=True):
        np.testing.assert_allclose(both[150:, 0], rest[150:, 0])
        assert not np.allclose(both[:150, 0], rest[:150, 0], equal_nan=True)
    assert np.isfinite(trend[150:, :]).all()
    assert np.isfinite(without[150:]).all()


def test_a_slow_channel_is_the_sum_of_its_daily_one():
    built = inputs.build_inputs(bars(400), ["return", "return_60"]).values.astype(np.float64)
    summed = built[300 - 59 : 301, :, 0].sum(axis=0) / 60**0.5
    np.testing.assert_allclose(built[300, :, 1], summed - summed.mean(), atol=1e-5)


def test_a_young_listing_is_summed_over_what_it_has():
    panel = bars(400)
    panel.close[:200, 0] = np.nan
    slow = inputs.build_inputs(panel, ["return_252"]).values[:, 0, 0]
    assert not slow[: 200 + inputs.WARM_UP].any()
    assert slow[260:].all()


def test_a_missing_day_holds_the_mean_and_is_counted():
    panel = bars()
    panel.close[150, 3] = np.nan
    built = inputs.build_inputs(panel, ["return", "overnight"])
    assert built.values[150, 3, 0] == built.values[151, 3, 0] == 0  # neither day has a return
    assert built.values[150, 3, 1] != 0  # last night has one, tonight has none
    assert built.values[151, 3, 1] == 0
    assert built.usable[150:, 3].all()
    panel.close[140:170, 3] = np.nan
    assert not inputs.build_inputs(panel, ["return"]).usable[170, 3]


def test_a_day_without_trades_has_no_volume_to_compare():
    panel = bars()
    panel.fields["volume"][150, 3] = 0.0
    built = inputs.build_inputs(panel, ["volume"])
    assert built.values[150, 3, 0] == 0
    assert np.isfinite(built.values).all()
    assert built.values[151:, 3, 0].all()


def test_a_young_symbol_is_usable_once_it_has_a_quarter():
    panel = bars()
    panel.close[:100, 0] = np.nan
    usable = inputs.build_inputs(panel, ["return"]).usable[:, 0]
    # one day for a return, WARM_UP returns for a volatility, then MIN_OBSERVED observations
    assert np.flatnonzero(usable)[0] == 100 + inputs.WARM_UP + inputs.MIN_OBSERVED


def test_a_price_that_never_moves_is_never_usable():
    panel = bars()
    panel.close[:, 2] = 50.0
    built = inputs.build_inputs(panel, ALL)
    assert not built.usable[:, 2].any()
    assert np.isfinite(built.values).all()


def test_a_day_with_few_symbols_has_no_cross_section():
    values = np.full((2, 8), np.nan)
    values[0, :4], values[1, :5] = 1.0, np.arange(5)
    relative, observed = inputs.demean(values)
    assert not observed[0].any()
    np.testing.assert_array_equal(relative[1, :5], np.arange(5) - 2.0)


def test_channels_are_those_that_the_source_has(market):
    closes = market.assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)
    assert fields_held(closes, has_open=False, has_volume=False) == frozenset()
    assert fields_held(market, has_open=True, has_volume=True) == frozenset(BAR_FIELDS)
    assert fields_held(market.assign(high=np.nan), has_open=True, has_volume=False) == {"open"}
    zeros = market.assign(volume=0.0)
    assert fields_held(zeros, has_open=True, has_volume=True) == {"open", "high", "low"}
    some = zeros.assign(volume=market["volume"].where(market["symbol"] > "S04", 0.0))
    assert "volume" in fields_held(some, has_open=True, has_volume=True)
    assert channels.readable(ALL, frozenset()) == ("return", "return_20", "return_60", "return_252")
    assert channels.readable(ALL, {"open"}) == ("return", "overnight", "return_20", "return_60", "return_252")
    assert channels.readable(ALL, BAR_FIELDS) == ALL
    assert channels.fields_of(["volume_20", "volume", "high", "return"]) == ("high", "volume")


def test_cumulated_needs_some_days():
    values = np.ones((50, 1))
    values[:20] = np.nan
    summed = channels.cumulated(values, 30)[:, 0]
    assert np.isnan(summed[: 20 + channels.MIN_SLOW - 1]).all()
    np.testing.assert_allclose(summed[-1], 30**0.5)
