"""The 15 stocks of a year: point in time, in slots they keep."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.errors import ConfigurationError, NotEnoughDataError
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.universe import next_slots, universe_of

MANY = [f"S{i:02d}" for i in range(30)]


@pytest.fixture(scope="module")
def sample_prices() -> pd.DataFrame:
    return pd.concat([SampleMarket().prices(year) for year in range(1990, 2001)], ignore_index=True)


@given(st.permutations(MANY), st.permutations(MANY))
def test_stayers_keep_their_slot_and_joiners_come_by_rank(before, ranked):
    slots, chosen = before[:15], ranked[:15]
    moved = next_slots(slots, chosen)

    assert sorted(moved) == sorted(chosen)
    assert all(new == old for new, old in zip(moved, slots, strict=True) if old in chosen)
    joined = [new for new, old in zip(moved, slots, strict=True) if old not in chosen]
    assert joined == [symbol for symbol in chosen if symbol not in slots]


def test_the_first_slots_follow_the_ranking(sample_prices):
    universe = universe_of(1991, sample_prices)

    assert universe["slot"].tolist() == list(range(15))
    assert universe["rank"].tolist() == list(range(1, 16))
    assert set(universe["measure"]) == {"roll_spread"}
    assert (universe["known_at"] == pd.Timestamp("1990-12-31 21:00", tz="UTC")).all()


def test_each_year_continues_the_slots_of_the_year_before(sample_prices):
    years = {year: universe_of(year, sample_prices)["symbol"].tolist() for year in range(1991, 2002)}
    changes = 0
    for year in range(1992, 2002):
        for old, new in zip(years[year - 1], years[year], strict=True):
            if old in years[year]:
                assert new == old
            changes += new != old

    assert changes > 5, "the point-in-time universe moves"


def test_later_prices_are_not_read(sample_prices):
    cut = sample_prices[sample_prices["date"] < "1996-01-01"]
    later = sample_prices.copy()
    later.loc[later["date"] >= "1996-01-01", ["close", "adj_close"]] *= 3.0

    pd.testing.assert_frame_equal(universe_of(1996, cut), universe_of(1996, later))


def test_it_is_known_before_the_first_decision_of_the_year(simulated):
    prices = pd.concat([simulated.prices(2015), simulated.prices(2016)], ignore_index=True)
    universe = universe_of(2017, prices)

    assert set(universe["measure"]) == {"dollar_volume"}
    assert (universe["known_at"] < pd.Timestamp("2016-12-30 21:01", tz="UTC")).all()


def test_the_fold_starts_with_the_first_year_that_has_enough(simulated):
    late = simulated.prices(2015)
    late = late[late["date"] >= "2015-10-01"]  # 64 sessions: 2016 has no universe
    prices = pd.concat([late, simulated.prices(2016)], ignore_index=True)

    with pytest.raises(NotEnoughDataError, match="sessions"):
        universe_of(2016, prices)
    assert universe_of(2017, prices)["rank"].tolist() == list(range(1, 16))


def test_without_earlier_prices_there_is_none(sample_prices):
    with pytest.raises(NotEnoughDataError, match="before 1990"):
        universe_of(1990, sample_prices)


def test_a_fixed_list_keeps_its_order(sample_prices):
    fixed = SampleMarket().fixed_universe()
    universe = universe_of(1995, sample_prices, "fixed", fixed)

    assert universe["symbol"].tolist() == fixed
    assert set(universe["mode"]) == {"fixed"}
    assert np.isnan(universe["liquidity"]).all()


def test_a_bad_fixed_list_is_refused(sample_prices):
    fixed = SampleMarket().fixed_universe()
    with pytest.raises(ConfigurationError, match="15 different symbols; it has 14"):
        universe_of(1995, sample_prices, "fixed", fixed[:14])
    with pytest.raises(NotEnoughDataError, match="symbol=TSLA"):
        universe_of(1995, sample_prices, "fixed", [*fixed[:14], "TSLA"])
