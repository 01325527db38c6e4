from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load, save

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.errors import (
    ConfigurationError,
    CorruptArtifactError,
    MarketDataError,
    NotEnoughDataError,
)
from allocator_pipeline.forecasters.models import CLASSES
from allocator_pipeline.forecasters.walk_forward import fit_forecaster, forecast_year, forecaster_identity
from allocator_pipeline.market import calendar
from allocator_pipeline.schemas import FORECASTS, validate
from allocator_pipeline_tests.forecasters.conftest import SMALL

NAMES = tuple(CLASSES)


WHOLE = {"has_open": True, "has_volume": True}


@pytest.fixture(scope="module")
def models(market):
    return {name: fit_forecaster(name, 2015, market, **WHOLE, config=SMALL[name]) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_forecasts_fit_their_schema(name, models, market, universe):
    table = forecast_year(models[name], 2015, market, universe(2015))
    validate(table, FORECASTS, "test")
    weeks = calendar.weeks_of_year(2015)
    assert table["week"].tolist() == np.repeat(weeks["week"].to_numpy(), 15).tolist()
    assert table["decision_at"].iloc[::15].tolist() == weeks["decision_at"].tolist()
    assert table["symbol"].iloc[:15].tolist() == universe(2015)["symbol"].tolist()
    assert set(table["model_version"]) == {models[name].version}
    assert np.isfinite(table[["forecast", *QUANTILES]]).all(axis=None)
    assert (table["q05"] < table["q95"]).all()
    assert table.groupby("week")["forecast"].nunique().min() > 1


def test_quantiles_that_fall_are_refused(models, market, universe):
    table = forecast_year(models["ridge"], 2015, market, universe(2015))
    table.loc[7, ["q25", "q50"]] = table.loc[7, ["q50", "q25"]].to_numpy()
    with pytest.raises(MarketDataError, match="quantiles never fall"):
        validate(table, FORECASTS, "test")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_files(name, models, market):
    again = fit_forecaster(name, 2015, market, **WHOLE, config=SMALL[name])
    other = fit_forecaster(name, 2015, market, seed=1, **WHOLE, config=SMALL[name])
    assert again.files == models[name].files
    assert again.version == models[name].version
    assert (other.files["model.safetensors"] != models[name].files["model.safetensors"]) == (name != "ridge")
    assert other.version != models[name].version


@pytest.mark.parametrize("name", NAMES)
def test_the_identity_is_known_before_training(name, models, market):
    identity = forecaster_identity(name, 2015, market, **WHOLE, config=SMALL[name])
    assert identity == models[name].identity
    assert identity.version.startswith("v2015-01-02-")
    assert (forecaster_identity(name, 2015, market, **WHOLE).version != identity.version) == (name != "ridge")
    assert forecaster_identity(name, 2015, market, config=SMALL[name]).version != identity.version


def test_manifest_and_files_serve_like_the_artifact(models, market, universe):
    model = models["lstm"]
    stored = (json.loads(json.dumps(model.manifest())), dict(model.files))
    pd.testing.assert_frame_equal(
        forecast_year(stored, 2015, market, universe(2015)), forecast_year(model, 2015, market, universe(2015))
    )


@pytest.mark.parametrize("name", NAMES)
def test_half_a_year_of_prices_gives_the_first_half_bit_for_bit(name, models, market, universe):
    table = forecast_year(models[name], 2015, market, universe(2015))
    known = market[market["date"] <= "2015-06-19"]
    half = forecast_year(models[name], 2015, known, universe(2015))
    assert half["week"].max() == pd.Timestamp("2015-06-22")
    pd.testing.assert_frame_equal(half, table.iloc[: len(half)])
    assert fit_forecaster(name, 2015, known, **WHOLE, config=SMALL[name]).files == models[name].files


def test_manifest_and_model_list_the_channels_read_and_those_missing(models, market):
    closes = fit_forecaster("patchtst", 2015, market, config=SMALL["patchtst"])
    opens = fit_forecaster("patchtst", 2015, market.assign(high=np.nan), has_open=True, config=SMALL["patchtst"])
    slow = ["return_20", "return_60", "return_252"]
    for model, read, missing in (
        (models["patchtst"], ["return", "overnight", "high", "low", "volume", *slow, "volume_20"], []),
        (opens, ["return", "overnight", *slow], ["high", "low", "volume", "volume_20"]),
        (closes, ["return", *slow], ["overnight", "high", "low", "volume", "volume_20"]),
    ):
        assert model.facts["channels"] == read
        assert model.facts["channels_missing"] == missing
        assert json.loads(model.files["model.json"])["config"]["channels"] == read
        assert model.manifest()["config"]["hyperparameters"]["channels"] == read
    assert len({closes.version, opens.version, models["patchtst"].version}) == 3


@pytest.mark.parametrize(("column", "gone"), [("high", np.nan), ("low", np.nan), ("volume", np.nan), ("volume", 0.0)])
def test_a_field_that_is_lost_within_the_year_is_an_error_that_names_stock_and_week(
    column, gone, models, market, universe
):
    bars = market.copy()
    bars.loc[(bars["symbol"] == "S03") & (bars["date"] > "2015-06-19"), column] = gone
    with pytest.raises(MarketDataError, match=f"have a {column}, which the model has learnt") as caught:
        forecast_year(models["patchtst"], 2015, bars, universe(2015))
    assert caught.value.symbol == "S03"
    assert caught.value.week == "2015-07-13"  # 13 sessions without it lie in the last 60 at its decision


def test_a_model_that_does_not_read_a_field_does_not_miss_it(models, market, universe):
    bars = market.assign(high=market["high"].where(market["date"] < "2015-03-02"))
    pd.testing.assert_frame_equal(
        forecast_year(models["ridge"], 2015, bars, universe(2015)),
        forecast_year(models["ridge"], 2015, market, universe(2015)),
    )


def test_a_few_days_without_a_field_do_no_harm(models, market, universe):
    bars = market.copy()
    days = bars["date"].between("2015-06-22", "2015-07-07")  # 12 sessions
    bars.loc[(bars["symbol"] == "S03") & days, "high"] = np.nan
    table = forecast_year(models["patchtst"], 2015, bars, universe(2015))
    assert len(table) == 15 * len(calendar.weeks_of_year(2015))
    assert np.isfinite(table["forecast"]).all()


def test_a_stock_that_never_traded_has_no_volume_to_lose(market, universe):
    bars = market.assign(volume=market["volume"].where(market["symbol"] != "S03", 0.0))
    model = fit_forecaster("ridge", 2015, bars, **WHOLE)
    assert np.isfinite(forecast_year(model, 2015, bars, universe(2015))["forecast"]).all()


@pytest.mark.parametrize("column", ["high", "low", "volume"])
def test_the_identity_reads_what_the_model_reads(column, market):
    changed = market.copy()
    changed.loc[5000, column] *= 1 + 1e-9
    versions = {
        name: [forecaster_identity(name, 2015, bars, **WHOLE).version for bars in (market, changed)]
        for name in ("ridge", "patchtst")
    }
    assert versions["patchtst"][0] != versions["patchtst"][1]
    assert (versions["ridge"][0] != versions["ridge"][1]) == (column == "volume")


def test_a_later_listing_changes_nothing(models, market, universe):
    late = market[(market["symbol"] == "S00") & (market["date"] >= "2015-03-02")].assign(symbol="AAA")
    more = pd.concat([market, late]).sort_values(["date", "symbol"], ignore_index=True)
    assert forecaster_identity("lstm", 2015, more, **WHOLE, config=SMALL["lstm"]) == models["lstm"].identity
    pd.testing.assert_frame_equal(
        forecast_year(models["lstm"], 2015, more, universe(2015)),
        forecast_year(models["lstm"], 2015, market, universe(2015)),
    )


def test_years_outside_the_window_change_nothing(models, market, universe):
    recent = market[market["date"] >= "2009-01-01"]
    assert len(recent) < len(market)
    assert forecaster_identity("lstm", 2015, recent, **WHOLE, config=SMALL["lstm"]) == models["lstm"].identity
    pd.testing.assert_frame_equal(
        forecast_year(models["lstm"], 2015, recent, universe(2015)),
        forecast_year(models["lstm"], 2015, market, universe(2015)),
    )


def test_a_young_stock_in_the_universe_is_an_error_that_names_it(models, market, universe):
    chosen = universe(2015)
    chosen.loc[4, "symbol"] = "S16"  # listed in the middle of December 2014
    with pytest.raises(NotEnoughDataError, match=r"symbol=S16, week=2015-01-05"):
        forecast_year(models["lstm"], 2015, market, chosen)
    chosen.loc[4, "symbol"] = "NONE"
    with pytest.raises(NotEnoughDataError, match="symbol=NONE"):
        forecast_year(models["lstm"], 2015, market, chosen)


def test_a_missing_decision_session_is_an_error(models, market, universe):
    holed = market[market["date"] != "2015-03-06"]
    with pytest.raises(MarketDataError, match="2015-03-06"):
        forecast_year(models["lstm"], 2015, holed, universe(2015))


def test_too_little_history_is_an_error(models, market, universe):
    with pytest.raises(NotEnoughDataError, match="2011"):
        fit_forecaster("lstm", 2011, market, config=SMALL["lstm"])
    with pytest.raises(NotEnoughDataError, match="symbols"):
        fit_forecaster("lstm", 2015, market[market["symbol"] < "S10"], config=SMALL["lstm"])
    with pytest.raises(NotEnoughDataError, match="sessions"):
        forecast_year(models["lstm"], 2015, market[market["date"] >= "2014-10-01"], universe(2015))
    with pytest.raises(NotEnoughDataError, match="No week"):
        forecast_year(models["lstm"], 2015, market[market["date"] < "2015-01-01"], universe(2015))


def test_an_unknown_forecaster_is_an_error(market):
    with pytest.raises(ConfigurationError, match="prophet"):
        fit_forecaster("prophet", 2015, market)


def test_progress_is_told(market):
    lines: list[str] = []
    fit_forecaster("lstm", 2015, market, config=SMALL["lstm"], progress=lines.append)
    assert lines == ["2015 lstm: epoch 1/1, loss " + lines[0].rsplit(" ", 1)[1]]


def damaged(model) -> list[dict[str, bytes]]:
    files, tensors = dict(model.files), load(model.files["model.safetensors"])
    description = json.loads(files["model.json"])
    name = "coefficients" if "coefficients" in tensors else "head.weight"

    def with_json(**changes):
        return files | {"model.json": json.dumps(description | changes).encode()}

    return [
        {"model.json": files["model.json"]},
        {"model.safetensors": files["model.safetensors"]},
        files | {"model.safetensors": files["model.safetensors"][:-1]},
        files | {"model.safetensors": b"\x80\x04K\x01."},
        files | {"model.safetensors": save(tensors | {name: tensors[name].half()})},
        files | {"model.safetensors": save(tensors | {name: tensors[name].flatten()[1:].contiguous()})},
        files | {"model.safetensors": save({key: tensor for key, tensor in tensors.items() if key != name})},
        files | {"model.json": b"{"},
        files | {"model.json": b"[]"},
        with_json(forecaster="other"),
        with_json(slope=None),
        with_json(quantiles=description["quantiles"][1:]),
        with_json(quantiles=description["quantiles"][::-1]),
        with_json(symbols=[1]),
        with_json(config=description["config"] | {"unheard_of": 1}),
        with_json(config=description["config"] | {"hidden": 10**7, "width": 10**7}),
        with_json(config=description["config"] | {"channels": ["unheard_of"]}),
        with_json(config=description["config"] | {"channels": ["return"]}),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused(name, models, market, universe):
    for files in damaged(models[name]):
        with pytest.raises(CorruptArtifactError):
            forecast_year((models[name].manifest(), files), 2015, market, universe(2015))
