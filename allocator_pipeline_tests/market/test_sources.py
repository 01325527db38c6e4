"""Opening the market that the settings name."""

from datetime import date

import pytest

from allocator_pipeline.config import Settings, SimulatedConfig
from allocator_pipeline.errors import ConfigurationError, NotEnoughDataError
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline.market.source import require_year, year_start
from allocator_pipeline.market.sources import open_market


def test_each_name_opens_its_market():
    simulated = SimulatedConfig(start=date(2020, 1, 1), end=date(2020, 3, 1))

    assert isinstance(open_market(Settings()), SampleMarket)
    assert isinstance(open_market(Settings(market="simulated", simulated=simulated)), SimulatedMarket)


def test_live_needs_a_list_of_candidates():
    with pytest.raises(ConfigurationError, match="ALLOCATOR_LIVE_CANDIDATES"):
        open_market(Settings(market="live"))


def test_files_needs_a_folder():
    with pytest.raises(ConfigurationError, match="ALLOCATOR_FILES_DIR"):
        open_market(Settings(market="files"))


def test_years_begin_at_midnight_in_new_york():
    assert str(year_start(2015)) == "2015-01-01 05:00:00+00:00"


def test_a_year_without_prices_names_the_market():
    coverage = SampleMarket().coverage()

    assert coverage.years == range(1990, 2023)
    with pytest.raises(NotEnoughDataError, match="source=sample"):
        require_year(coverage, 2023)
