from datetime import date
from pathlib import Path

import pytest

from allocator_pipeline.config import (
    ALLOCATORS,
    PLANNED_ALLOCATORS,
    STATE_SIZE,
    GateConfig,
    LiveConfig,
    Settings,
    algorithm_of,
    forecaster_of,
)
from allocator_pipeline.errors import AllocatorError, ConfigurationError


def test_the_state_has_136_numbers():
    assert STATE_SIZE == 136


def test_allocators_are_algorithm_and_forecaster():
    assert [(algorithm_of(name), forecaster_of(name)) for name in ALLOCATORS] == [
        ("ppo", "lstm"),
        ("ppo", "patchtst"),
        ("sac", "lstm"),
        ("sac", "patchtst"),
        ("dpg", "lstm"),
        ("dpg", "patchtst"),
    ]
    assert ALLOCATORS[:4] == PLANNED_ALLOCATORS


def test_without_variables_the_sample_market_is_chosen():
    settings = Settings.from_env({})
    assert (settings.market, settings.universe, settings.min_training_years) == ("sample", "point_in_time", 10)
    assert settings.market_dir == Path("data/sample")


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            "ALLOCATOR_MARKET": "simulated",
            "ALLOCATOR_DATA_DIR": "/somewhere",
            "ALLOCATOR_UNIVERSE": "fixed",
            "ALLOCATOR_MIN_TRAINING_YEARS": "3",
            "ALLOCATOR_SIMULATED_SEED": "5",
            "ALLOCATOR_SIMULATED_START": "2010-01-01",
            "ALLOCATOR_SIMULATED_END": "2020-12-31",
            "ALLOCATOR_SIMULATED_SYMBOLS": "30",
            "ALLOCATOR_SIMULATED_IC": "0",
            "ALLOCATOR_SIMULATED_PERSISTENCE": "0.5",
            "ALLOCATOR_EXTERNAL_FORECASTS": "/somewhere/table.parquet",
            "ALLOCATOR_STATE_FORECASTS": "patchtst=kronos, lstm=toto",
            "ALLOCATOR_PAPER_DEPOSIT": "2500.5",
            "ALLOCATOR_PAPER_SHARES": "whole",
            "ALLOCATOR_PROOF_TO_PROMOTE": "on",
            "ALLOCATOR_PROOF_TO_SERVE": "on",
            "ALLOCATOR_FALLBACK": "previous",
        }
    )
    assert settings.fallback == "previous"
    assert (settings.account.deposit, settings.account.whole_shares) == (2500.5, True)
    assert settings.gate == GateConfig(proof_to_promote=True, proof_to_serve=True)
    assert settings.external_forecasts == Path("/somewhere/table.parquet")
    assert settings.state_forecasts == (("lstm", "toto"), ("patchtst", "kronos"))
    assert settings.market_dir == Path("/somewhere/simulated")
    assert settings.universe == "fixed"
    assert settings.simulated.end == date(2020, 12, 31)
    assert (settings.simulated.seed, settings.simulated.n_symbols, settings.simulated.weekly_ic) == (5, 30, 0.0)


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"ALLOCATOR_MARKET": "casino"}, "ALLOCATOR_MARKET"),
        ({"ALLOCATOR_UNIVERSE": "lucky"}, "ALLOCATOR_UNIVERSE"),
        ({"ALLOCATOR_MARKET": "files"}, "ALLOCATOR_FILES_DIR"),
        ({"ALLOCATOR_MIN_TRAINING_YEARS": "2"}, "ALLOCATOR_MIN_TRAINING_YEARS"),
        ({"ALLOCATOR_MIN_TRAINING_YEARS": "many"}, "ALLOCATOR_MIN_TRAINING_YEARS"),
        ({"ALLOCATOR_SIMULATED_START": "yesterday"}, "ALLOCATOR_SIMULATED_START"),
        ({"ALLOCATOR_SIMULATED_SYMBOLS": "14"}, "15 symbols"),
        ({"ALLOCATOR_SIMULATED_IC": "1.5"}, "IC"),
        *(({"ALLOCATOR_PAPER_DEPOSIT": text}, "ALLOCATOR_PAPER_DEPOSIT") for text in ("0", "-1", "inf", "nan", "much")),
        ({"ALLOCATOR_PAPER_SHARES": "half"}, "ALLOCATOR_PAPER_SHARES"),
        ({"ALLOCATOR_PAPER_DIVIDENDS": "shares"}, "ALLOCATOR_PAPER_DIVIDENDS"),
        ({"ALLOCATOR_PAPER_DIVIDENDS": "cash"}, "sample does not tell dividends one by one"),
        ({"ALLOCATOR_PROOF_TO_SERVE": "perhaps"}, "ALLOCATOR_PROOF_TO_SERVE"),
        ({"ALLOCATOR_FALLBACK": "next"}, "ALLOCATOR_FALLBACK"),
        ({"ALLOCATOR_STATE_FORECASTS": "lstm=toto"}, "ALLOCATOR_EXTERNAL_FORECASTS"),
        *(
            ({"ALLOCATOR_STATE_FORECASTS": text, "ALLOCATOR_EXTERNAL_FORECASTS": "t.parquet"}, "ALLOCATOR_STATE")
            for text in ("toto", "ridge=toto", "lstm=", "lstm=a,lstm=b", "lstm=a=b")
        ),
    ],
)
def test_a_bad_setting_is_named_with_what_to_do(env, named):
    with pytest.raises(ConfigurationError, match=named) as caught:
        Settings.from_env(env)
    assert caught.value.todo


LIVE = {"ALLOCATOR_MARKET": "live", "ALLOCATOR_LIVE_CANDIDATES": "/lists/candidates.csv"}


def test_the_live_market_is_read_with_its_screens():
    settings = Settings.from_env(
        {
            **LIVE,
            "ALLOCATOR_LIVE_START": "2012-01-03",
            "ALLOCATOR_LIVE_END": "2020-12-31",
            "ALLOCATOR_LIVE_FUNDAMENTALS": "alphavantage",
            "ALLOCATOR_LIVE_SECOND_SOURCE": "off",
            "ALLOCATOR_LIVE_MACRO": "yahoo",
            "ALLOCATOR_SCORER": "vader",
            "ALLOCATOR_SCREENS": "/lists/halal.csv, /lists/index.csv",
        }
    )
    assert settings.live == LiveConfig(
        candidates=Path("/lists/candidates.csv"),
        start=date(2012, 1, 3),
        end=date(2020, 12, 31),
        scorer="vader",
        fundamentals="alphavantage",
        second_source=False,
        macro="yahoo",
    )
    assert settings.screens == (Path("/lists/halal.csv"), Path("/lists/index.csv"))
    assert Settings.from_env(LIVE).live == LiveConfig(candidates=Path("/lists/candidates.csv"))
    assert Settings.from_env({}).live is None
    assert not Settings.from_env({**LIVE, "ALLOCATOR_PAPER_DIVIDENDS": "cash"}).account.reinvest


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"ALLOCATOR_MARKET": "live"}, "ALLOCATOR_LIVE_CANDIDATES"),
        ({**LIVE, "ALLOCATOR_LIVE_START": "long ago"}, "ALLOCATOR_LIVE_START"),
        ({**LIVE, "ALLOCATOR_LIVE_START": "2020-01-01", "ALLOCATOR_LIVE_END": "2019-01-01"}, "ALLOCATOR_LIVE_END"),
        ({**LIVE, "ALLOCATOR_LIVE_FUNDAMENTALS": "rumour"}, "ALLOCATOR_LIVE_FUNDAMENTALS"),
        ({**LIVE, "ALLOCATOR_LIVE_SECOND_SOURCE": "maybe"}, "ALLOCATOR_LIVE_SECOND_SOURCE"),
        ({**LIVE, "ALLOCATOR_LIVE_MACRO": "tea leaves"}, "ALLOCATOR_LIVE_MACRO"),
        ({**LIVE, "ALLOCATOR_SCORER": "mood"}, "ALLOCATOR_SCORER"),
    ],
)
def test_a_bad_live_setting_is_named(env, named):
    with pytest.raises(ConfigurationError, match=named):
        Settings.from_env(env)


def test_folders_from_before_there_was_a_live_market_stay_usable():
    assert (Settings().shaping()["live"], Settings().shaping()["screens"]) == (None, None)


def test_candidates_and_screens_shape_results_and_a_second_source_does_not():
    plain = Settings.from_env(LIVE).shaping()
    assert plain == Settings.from_env({**LIVE, "ALLOCATOR_LIVE_SECOND_SOURCE": "off"}).shaping()
    confirmed = Settings.from_env({**LIVE, "ALLOCATOR_LIVE_CONFIRMED": "/lists/confirmed.csv"})
    assert confirmed.live is not None
    assert confirmed.live.confirmed == Path("/lists/confirmed.csv")
    assert plain == confirmed.shaping(), "a list of confirmed moves only judges"
    for other in (
        {"ALLOCATOR_LIVE_CANDIDATES": "/lists/others.csv"},
        {"ALLOCATOR_LIVE_START": "2013-01-02"},
        {"ALLOCATOR_SCORER": "vader"},
        {"ALLOCATOR_SCREENS": "/lists/halal.csv"},
    ):
        assert plain != Settings.from_env({**LIVE, **other}).shaping()


def test_a_table_shapes_results_only_where_states_read_it():
    plain, beside = Settings(), Settings(external_forecasts=Path("t.parquet"))
    assert plain.shaping() == beside.shaping()
    injected = Settings(external_forecasts=Path("t.parquet"), state_forecasts=(("lstm", "toto"),))
    assert injected.shaping()["state_forecasts"] == {"lstm": "toto", "table": str(Path("t.parquet").absolute())}


def test_the_gate_and_the_fallback_may_change_within_a_data_folder():
    assert Settings().gate == GateConfig()
    assert Settings().fallback == "refuse"
    changed = Settings(gate=GateConfig(proof_to_serve=True), fallback="previous")
    assert changed.shaping() == Settings().shaping()


def test_errors_cross_processes_with_all_they_say():
    import pickle

    error = ConfigurationError("It broke.", todo="mend it.", source="file", symbol="AAPL", week="2020-01-06")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, AllocatorError)
    assert str(again) == str(error)
    assert (again.symbol, again.week, again.todo) == ("AAPL", "2020-01-06", "mend it.")
