"""Everything that the report reads: annual reports of four allocators, summaries of two, verdicts with badges."""

from __future__ import annotations

import pytest

from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.evaluation.forecast_summary import forecast_summary
from allocator_pipeline.evaluation.report.document import html_report
from allocator_pipeline_tests.evaluation.conftest import VERSIONS
from allocator_pipeline_tests.evaluation.forecasting import YEAR, made_up_baselines, made_up_outcomes, made_up_panel
from allocator_pipeline_tests.evaluation.report.pages import parsed
from allocator_pipeline_tests.evaluation.summaries import MadeUpSummaries

SUMMARISED = ("ppo_lstm", "sac_patchtst")


@pytest.fixture(scope="package")
def panel():
    panels = {name: {YEAR: made_up_panel(skill)} for name, skill in (("lstm", 0.1), ("patchtst", 0.0))}
    return forecast_summary(panels, made_up_outcomes(), made_up_baselines(), CostConfig(), {})


@pytest.fixture(scope="package")
def decisions():
    target = {"S01": 0.2, "S02": 0.18, "<img src=x onerror=alert(1)>": 0.1, CASH: 0.52}
    return {"ppo_lstm": {"week": "2019-01-07", "version": VERSIONS[2017], "target": target, "turnover": 0.04}}


@pytest.fixture(scope="package")
def badge():
    """Make the badge of a verdict."""

    def make(verdict="not_proven", number=3):
        against = {
            name: {"sharpe_difference": 0.1, "t": 1.2, "z": 1.19, "threshold": 2.61} for name in ("equal_weight", "hrp")
        }
        proof = number if verdict == "proven" else None
        place = {"try": number, "sequence": 1, "position": number, "proof": proof}
        return {"verdict": verdict, **place, "against": against}

    return make


@pytest.fixture(scope="package")
def judged(verdicts, badge):
    """Return the verdicts of the first allocator with badges and the tests of a duel."""
    first, second = verdicts["ppo_lstm"]
    duel = {
        "bootstrap": {"estimate": 0.03, "low": -0.12, "high": 0.2},
        "ledoit_wolf": {"p_value": 0.61},
        "deflated": {"difference": 0.1, "threshold": 0.8, "probability": 0.24, "trials": 9},
    }
    return {
        "ppo_lstm": [
            first | {"evidence": {"badge": badge()}},
            second | {"evidence": {"badge": badge("tie", 9), "duel": duel}},
        ],
        "sac_lstm": [],
    }


@pytest.fixture(scope="package")
def made():
    """Return summaries of two allocators over the same years, one of them served as equal weight, and no skill."""
    return MadeUpSummaries(SUMMARISED, range(2016, 2019), {"sac_patchtst": 0.0}, replicated=("ppo_lstm",))


@pytest.fixture(scope="package")
def comparison(made):
    return made.comparison()


@pytest.fixture(scope="package")
def html(reports, judged, panel, decisions, made, comparison):
    return html_report(reports, judged, panel, decisions, made.summaries, comparison)


@pytest.fixture(scope="package")
def page(html):
    return parsed(html)
