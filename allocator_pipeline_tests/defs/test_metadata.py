"""What the UI plots: no Sharpe ratio without its interval, the tries and the baselines."""

from __future__ import annotations

import copy

from allocator_pipeline.defs.metadata import series_numbers
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline_tests.evaluation.summaries import MadeUpSummaries

COMPANY = {"sharpe_low", "sharpe_high", "sharpe_equal_weight", "sharpe_hrp", "tries"}


def test_a_plotted_sharpe_ratio_has_its_company_and_the_sortino_ratio_is_left_out():
    series = MadeUpSummaries(["ppo_lstm"], range(2016, 2018)).summaries["ppo_lstm"]["series"]
    shown = series_numbers(series, Tries(12))
    assert COMPANY | {"sharpe", "cagr", "max_drawdown", "turnover"} <= set(shown)
    assert "sortino" not in shown
    assert shown["tries"].value == 12.0
    assert shown["cagr_low"].value < shown["cagr"].value < shown["cagr_high"].value
    assert shown["sharpe_low"].value < shown["sharpe"].value < shown["sharpe_high"].value
    short = copy.deepcopy(series)
    short["policy"]["interval"] = None
    short["policy"]["weekly"]["net"] = short["policy"]["weekly"]["net"][:20]
    assert [name for name in series_numbers(short, Tries(12)) if "sharpe" in name or "cagr" in name] == []
