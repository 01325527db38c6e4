"""State tensors put together from their tables."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.config import SIGNALS, SimulatedConfig
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.features.outcomes import outcomes_table
from allocator_pipeline.features.signals import weekly_signals
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline.market.universe import universe_of
from allocator_pipeline.portfolio.assemble import build_states
from allocator_pipeline.portfolio.state import StateTensors


@pytest.fixture(scope="module")
def parts() -> dict:
    market = SimulatedMarket(SimulatedConfig(start=date(2015, 1, 1), end=date(2017, 9, 1)))
    prices = pd.concat([market.prices(year) for year in (2015, 2016, 2017)], ignore_index=True)
    universe = universe_of(2017, prices)
    news = pd.concat([market.sentiment(2016), market.sentiment(2017)])
    news = news[news["symbol"] != universe["symbol"][2]]  # one stock has no news
    fundamentals = pd.concat([market.fundamentals(year) for year in (2015, 2016, 2017)])
    signals = weekly_signals(2017, universe, news, fundamentals)
    forecasts = signals[["week", "decision_at", "slot", "symbol"]].assign(
        forecast=np.random.default_rng(0).normal(0, 0.01, len(signals)), forecaster="lstm", model_version="v"
    )
    outcomes = outcomes_table(2017, universe, prices, has_open=True)
    return {"signals": signals, "forecasts": forecasts, "outcomes": outcomes}


def build(parts: dict, **changes) -> StateTensors:
    return build_states(2017, **(parts | changes))


def test_every_decidable_week_is_there(parts):
    states = build(parts)

    assert len(states) == 36
    assert states.weeks[-1] == np.datetime64("2017-09-04")
    assert states.symbols.ravel().tolist() == parts["outcomes"]["symbol"].tolist()
    assert states.known.tolist() == [True] * 34 + [False] * 2
    assert np.isfinite(states.marks).all(axis=1).tolist() == [True] * 35 + [False]


def test_values_stand_where_they_belong(parts):
    states = build(parts)
    row = parts["signals"][(parts["signals"]["week"] == "2017-03-06") & (parts["signals"]["slot"] == 7)].iloc[0]
    t = states.row("2017-03-06")
    forecast = parts["forecasts"].loc[row.name, "forecast"]

    assert states.signals[t, 7].tolist() == row[list(SIGNALS)].tolist()
    assert states.forecasts[t, 7] == forecast
    paid = parts["outcomes"].iloc[t * 15 + 7]
    assert (states.returns[t, 7], states.marks[t, 7]) == (paid["return"], paid["mark"])
    assert len(states.observation(t, np.zeros(16)).vector) == 136


def test_what_is_missing_is_zero_and_masked(parts):
    states = build(parts)

    assert states.missing[:, 2, 0].all()
    assert (states.signals[:, 2, 0] == 0).all()
    assert states.missing.sum() == len(states)


def test_the_order_of_the_rows_does_not_matter(parts):
    shuffled = {name: parts[name].sample(frac=1, random_state=0) for name in parts}

    assert build(parts, **shuffled).digest() == build(parts).digest()


def test_it_survives_a_round_trip(parts):
    states = build(parts)

    assert StateTensors.from_bytes(states.to_bytes()).digest() == states.digest()


def test_a_year_that_has_not_begun_is_refused(parts):
    with pytest.raises(MissingPartitionError, match="no week of 2017"):
        build(parts, outcomes=parts["outcomes"].iloc[:0])
    with pytest.raises(MissingPartitionError, match="of another year"):
        build_states(2016, **parts)


@pytest.mark.parametrize("name", ["signals", "forecasts"])
def test_a_missing_week_is_named(parts, name):
    table = parts[name][parts[name]["week"] != "2017-03-06"]

    with pytest.raises(MissingPartitionError, match=rf"{name} do not cover.*week=2017-03-06"):
        build(parts, **{name: table})


@pytest.mark.parametrize("name", ["signals", "forecasts"])
def test_a_doubled_row_is_refused(parts, name):
    doubled = pd.concat([parts[name], parts[name].head(1)])

    with pytest.raises(MissingPartitionError, match="exactly"):
        build(parts, **{name: doubled})


@pytest.mark.parametrize("name", ["signals", "forecasts"])
def test_another_universes_table_is_refused(parts, name):
    table = parts[name].copy()
    table.loc[table["slot"] == 4, "symbol"] = "OTHER"

    with pytest.raises(MissingPartitionError, match=r"slot 4.*symbol=OTHER, week=2017-01-02"):
        build(parts, **{name: table})
