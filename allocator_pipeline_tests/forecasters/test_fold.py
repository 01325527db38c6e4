from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.forecasters import targets
from allocator_pipeline.forecasters.fold import training_fold
from allocator_pipeline.market import calendar


@pytest.mark.parametrize("year", [2014, 2015])
def test_targets_exit_by_the_first_decision_and_go_back_five_years(market, year):
    fold = training_fold(year, market, True, ["return"])
    first = calendar.first_decision_of_year(year)
    exits = fold.prices.dates[fold.days + targets.EXIT]
    assert exits.max() == np.datetime64(first, "D")
    assert fold.cutoff == str(first.date())
    assert fold.prices.dates[fold.days[0]] >= np.datetime64(first - pd.DateOffset(years=5), "D")
    assert len(fold.days) > 1200
