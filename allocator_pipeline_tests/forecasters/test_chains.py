from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.config import FORECAST_CHAIN_YEARS
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.forecasters.chains import chain_identities, chain_start, fit_chain
from allocator_pipeline.forecasters.walk_forward import fit_forecaster, forecaster_identity
from allocator_pipeline_tests.forecasters.conftest import SMALL

YEARS = (2013, 2014, 2015)


def options(name: str) -> dict:
    return {"has_open": True, "has_volume": True, "config": SMALL[name]}


@pytest.fixture(scope="module")
def chains(market):
    bars = dict.fromkeys(YEARS, market)
    return {name: list(fit_chain(name, YEARS, bars, **options(name))) for name in SMALL}


@given(year=st.integers(1990, 2040), first=st.integers(1980, 2040))
def test_a_chain_starts_where_its_years_say(year, first):
    if first > year:
        return
    start = chain_start("lstm", year, first)
    assert first <= start <= year < start + FORECAST_CHAIN_YEARS
    assert start == first or start % FORECAST_CHAIN_YEARS == 0
    assert all(chain_start("lstm", between, first) == start for between in range(start, year + 1))
    assert chain_start("ridge", year, first) == year


@pytest.mark.parametrize("name", ["lstm", "patchtst"])
def test_a_year_continues_the_year_before(name, chains, market):
    cold, warm, last = chains[name]
    assert [model.identity.parent for model in chains[name]] == [None, cold.version, warm.version]
    assert [model.facts["start"] for model in (cold, warm)] == ["cold", f"warm, from {cold.version}"]
    alone = fit_forecaster(name, 2014, market, **options(name))
    assert alone.files["model.safetensors"] != warm.files["model.safetensors"]
    resumed = next(fit_chain(name, [2015], {2015: market}, (warm.manifest(), dict(warm.files)), **options(name)))
    assert resumed.files == last.files
    assert resumed.identity == last.identity


def test_ridge_has_no_parents(chains, market):
    assert [model.identity.parent for model in chains["ridge"]] == [None] * 3
    assert fit_forecaster("ridge", 2015, market, **options("ridge")).files == chains["ridge"][-1].files


@pytest.mark.parametrize("name", SMALL)
def test_identities_are_known_before_fitting(name, chains, market):
    found = chain_identities(name, YEARS, dict.fromkeys(YEARS, market), **options(name))
    assert list(found.values()) == [model.identity for model in chains[name]]


@pytest.mark.parametrize("name", ["lstm", "patchtst"])
def test_identities_hold_the_parents(name, market):
    found = chain_identities(name, YEARS, dict.fromkeys(YEARS, market), **options(name))
    touched = market.copy()
    touched.loc[touched["date"].dt.year.eq(2008).idxmax(), "close"] *= 1.001  # a bar that only the model of 2013 reads
    touched["adj_close"] = touched["close"]
    other = chain_identities(name, YEARS, dict.fromkeys(YEARS, touched), **options(name))
    assert forecaster_identity(name, 2015, touched, **options(name)) == forecaster_identity(
        name, 2015, market, **options(name)
    )
    assert all(found[year].version != other[year].version for year in YEARS)


@pytest.mark.parametrize("name", ["lstm", "patchtst"])
def test_a_warm_start_never_reads_a_later_year(name, chains, market):
    """Bars after a year's first decision do not reach its model, however it was started."""
    decision = pd.Timestamp("2014-01-03")
    random = np.random.default_rng(3)
    later = market.copy()
    late = (later["date"] > decision).to_numpy()
    factor = np.exp(0.1 * random.standard_normal(late.sum()))
    for column in ("open", "high", "low", "close", "adj_close", "volume"):
        later.loc[late, column] *= factor
    found = list(fit_chain(name, YEARS, dict.fromkeys(YEARS, later), **options(name)))
    same = [one.files == two.files for one, two in zip(found, chains[name], strict=True)]
    assert same == [True, True, False]


def test_only_the_year_before_is_a_parent(chains, market):
    cold, warm, last = chains["lstm"]
    patchtst = chains["patchtst"][0]
    for year, parent in ((2015, cold), (2014, last), (2014, warm), (2014, patchtst)):
        with pytest.raises(ConfigurationError, match=f"lstm model of {year} cannot start"):
            fit_forecaster("lstm", year, market, parent=parent)
        with pytest.raises(ConfigurationError, match=f"lstm model of {year} cannot start"):
            forecaster_identity("lstm", year, market, parent=parent.identity)
    with pytest.raises(ConfigurationError, match="ridge model"):
        fit_forecaster("ridge", 2014, market, parent=chains["ridge"][0])


def test_a_warm_model_keeps_its_parents_hyperparameters(chains):
    cold, warm = chains["patchtst"][:2]
    assert warm.identity.config["hyperparameters"] == cold.identity.config["hyperparameters"]
    assert dataclasses.asdict(SMALL["patchtst"])["layers"] == warm.identity.config["hyperparameters"]["layers"]


def test_a_source_that_has_lost_a_channel_starts_cold(chains, market):
    """Nothing stands in for a channel that is not there, and the manifest says so."""
    parent = chains["patchtst"][0]
    poorer = market.assign(high=np.nan)
    options = {"has_open": True, "has_volume": True, "config": SMALL["patchtst"]}
    found = fit_forecaster("patchtst", 2014, poorer, **options, parent=parent)
    assert found.identity == forecaster_identity("patchtst", 2014, poorer, **options, parent=parent.identity)
    assert found.identity.parent is None
    assert found.facts["channels_missing"] == ["high", "low"]
    assert found.files == fit_forecaster("patchtst", 2014, poorer, **options).files
