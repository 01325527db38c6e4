from datetime import date

import dagster as dg
import pytest

from allocator_pipeline.config import BASELINES
from allocator_pipeline.defs import partitions as p
from allocator_pipeline.defs.assets.features import WINDOW_YEARS
from allocator_pipeline.defs.build import _last_weeks
from allocator_pipeline.defs.partitions import Partitions

SAMPLE = Partitions(
    date(1990, 1, 2),
    date(2022, 12, 28),
    static=True,
    min_training_years=10,
    last_week=date(2022, 12, 26),
    last_label=date(2022, 12, 19),
)


def upstream(mapping, of: dg.PartitionsDefinition, to: dg.PartitionsDefinition, key: str) -> list[str]:
    subset = of.subset_with_partition_keys([key])
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, of, to)
    return sorted(found.partitions_subset.get_partition_keys())


def test_the_sample_covers_the_years_and_weeks_of_the_plan():
    assert SAMPLE.market_years.get_partition_keys()[::32] == ["1990", "2022"]
    assert SAMPLE.first_forecast_year == 1995
    assert SAMPLE.first_policy_year == 2004
    assert SAMPLE.first_report_year == 2005
    assert SAMPLE.weeks(1).get_last_partition_key() == "2022-12-26"
    assert SAMPLE.weeks(0).get_last_partition_key() == "2022-12-19"
    assert SAMPLE.weeks(1).get_first_partition_key() == "2006-01-02"


def test_a_market_that_starts_late_in_a_year_starts_with_the_next_year():
    late = Partitions(date(2010, 2, 1), date(2022, 12, 30), True, 3, date(2022, 12, 26), date(2022, 12, 19))
    assert late.first_year == 2011


def test_a_growing_market_has_this_years_partition_and_leads():
    growing = Partitions(date(2008, 1, 2), date(2026, 11, 20), False, 3, date(2026, 11, 23), date(2026, 11, 9))
    sunday = dg.partition_loading_context
    with sunday(effective_dt=_instant("2022-12-18 12:00")):
        assert growing.market_years.get_last_partition_key() == "2022"
        assert growing.weeks(0).get_last_partition_key() == "2022-12-05"  # its exit, 2022-12-12, has passed
        assert growing.weeks(1).get_last_partition_key() == "2022-12-12"
        assert growing.weeks(2).get_last_partition_key() == "2022-12-19"  # fine-tuned for tomorrow
    with sunday(effective_dt=_instant("2022-12-19 08:00")):
        assert growing.weeks(1).get_last_partition_key() == "2022-12-19"  # decided this Monday


@pytest.mark.parametrize("now", ["2026-06-30 18:00", "2026-11-27 12:00", "2027-06-01 12:00"])
def test_a_static_market_has_the_year_in_which_it_ends_also_while_that_year_runs(now):
    last_week, last_label = _last_weeks(date(2026, 6, 30))
    market = Partitions(date(2008, 1, 2), date(2026, 6, 30), True, 3, last_week, last_label)
    with dg.partition_loading_context(effective_dt=_instant(now)):
        assert market.market_years.get_partition_keys()[-2:] == ["2025", "2026"]
        assert market.forecaster_years.has_partition_key("lstm|2026")
        assert not market.feature_years.has_partition_key("2027")
        assert market.weeks(1).get_last_partition_key() == "2026-06-29"
        assert market.weeks(0).get_last_partition_key() == "2026-06-22"


def test_files_that_end_today_decide_the_week_to_come():
    last_week, last_label = _last_weeks(date(2026, 11, 27))  # a Friday
    market = Partitions(date(2008, 1, 2), date(2026, 11, 27), True, 3, last_week, last_label)
    with dg.partition_loading_context(effective_dt=_instant("2026-11-27 18:00")):
        assert market.weeks(1).get_last_partition_key() == "2026-11-30"
        assert market.weeks(0).get_last_partition_key() == "2026-11-16"


@pytest.mark.parametrize(
    ("last_session", "decided", "labelled"),
    [
        (date(2022, 12, 28), "2022-12-26", "2022-12-19"),  # a Wednesday
        (date(2022, 12, 30), "2022-12-26", "2022-12-19"),  # a Friday: the next week belongs to a year without prices
        (date(2018, 5, 25), "2018-05-28", "2018-05-14"),  # a Friday within a year
        (date(2018, 5, 29), "2018-05-28", "2018-05-21"),  # the Tuesday after Memorial Day
    ],
)
def test_a_static_market_ends_with_what_its_prices_can_decide_and_label(last_session, decided, labelled):
    assert [str(day) for day in _last_weeks(last_session)] == [decided, labelled]


@pytest.mark.parametrize("key", ["lstm|1995", "patchtst|2010"])
def test_forecasts_read_their_own_years_window(key):
    found = upstream(p.SAME_YEAR, SAMPLE.forecaster_years, SAMPLE.feature_years, key)
    assert found == [key.split("|")[1]]


def test_price_windows_never_read_a_later_year():
    window = p.time_window(-WINDOW_YEARS, 0)
    assert upstream(window, SAMPLE.feature_years, SAMPLE.market_years, "2010") == [str(y) for y in range(2000, 2011)]
    assert upstream(window, SAMPLE.feature_years, SAMPLE.market_years, "1995") == [str(y) for y in range(1990, 1996)]


def test_universe_reads_only_years_before_it():
    assert upstream(p.time_window(-100, -1), SAMPLE.feature_years, SAMPLE.market_years, "1996")[-1] == "1995"


def test_policies_read_states_of_their_forecaster_through_their_year():
    found = upstream(p.states_by_year(-100, 0), SAMPLE.policy_years, SAMPLE.forecaster_years, "sac_patchtst|2014")
    assert found == [f"patchtst|{year}" for year in range(1995, 2015)]


def test_reports_judge_policies_of_earlier_years_only():
    found = upstream(p.policies_by_year(-100, -1), SAMPLE.report_years, SAMPLE.policy_years, "ppo_lstm|2015")
    assert found == [f"ppo_lstm|{year}" for year in range(2004, 2015)]


def test_reports_read_every_baseline():
    found = upstream(p.baselines_by_year(-1, 0), SAMPLE.report_years, SAMPLE.baseline_years, "ppo_lstm|2015")
    assert found == sorted(f"{name}|{year}" for name in BASELINES for year in (2014, 2015))


def test_the_panel_reads_the_principal_baselines_of_its_year():
    mapping = p.PRINCIPAL_BASELINES_OF_YEAR
    found = upstream(mapping, SAMPLE.panel_years, SAMPLE.baseline_years, "ridge|2015")
    assert found == ["equal_weight|2015", "hrp|2015"]


@pytest.mark.parametrize(
    ("offsets", "week", "years"),
    [
        ((-1, 0), "2019-06-03", ["2019"]),
        ((-1, 0), "2020-01-06", ["2019", "2020"]),
        ((-28, 0), "2019-06-03", ["2018", "2019"]),
        ((-1, 1), "2019-12-23", ["2019", "2020"]),
        ((-1, 1), "2022-12-19", ["2022"]),
    ],
)
def test_a_week_reads_states_of_its_forecaster_around_it(offsets, week, years):
    found = upstream(p.states_by_week(*offsets), SAMPLE.decision_weeks, SAMPLE.forecaster_years, f"sac_lstm|{week}")
    assert found == [f"lstm|{year}" for year in years]


def test_fine_tunes_follow_labels_of_weeks_that_ended_before():
    found = upstream(p.allocator_weeks(-27, -2), SAMPLE.finetune_weeks, SAMPLE.label_weeks, "ppo_lstm|2019-12-30")
    assert found[0] == "ppo_lstm|2019-06-24"
    assert found[-1] == "ppo_lstm|2019-12-16"


def _instant(text: str):
    import pandas as pd

    return pd.Timestamp(text, tz=p.TIMEZONE).to_pydatetime()
