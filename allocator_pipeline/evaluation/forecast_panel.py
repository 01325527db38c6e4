"""The honest judgement of one forecaster: every figure beside its plain opponent, every difference with its interval.

Shape of a judgement (JSON values only; equal inputs give an equal one)::

    first_week, last_week (ISO), weeks, forecasts, missing (counts of stock-weeks with and without a forecast),
    figures      {mse, hit_rate, always_up, rank_ic, mse_of_zero_ratio, mse_of_mean_ratio, pinball_ratio,
                  coverage: {q05: share of returns not above the quantile, ...}}; None where nothing is known
    portfolios   {top, equal_weight, hrp: see `metrics.metrics`}
    comparisons  {name of `COMPARISONS`: see `significance.ratio_interval`}; None below 26 weeks or if unknown

A comparison is a difference whose value is 0 if the forecasts are worth what their opponent is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import MIN_JUDGED_WEEKS, PRINCIPAL_BASELINES, QUANTILES, CostConfig
from allocator_pipeline.evaluation.forecast_portfolio import portfolios
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.evaluation.significance import ratio_interval, sharpe_difference
from allocator_pipeline.portfolio.rollout import Rollout

BASELINES = PRINCIPAL_BASELINES


@dataclass(frozen=True)
class Comparison:
    """What a forecaster is held against.

    Parameters
    ----------
    label : str
        What the difference is, for tables.
    better : {1, -1, 0}
        Sign of a difference that speaks for the forecaster; 0 where either sign speaks against it.
    """

    label: str
    better: int


COMPARISONS: Mapping[str, Comparison] = {
    "rank_ic": Comparison("weekly rank correlation", 1),
    "mse_of_zero": Comparison("squared error, relative to forecasting zero", -1),
    "mse_of_mean": Comparison("squared error, relative to the past mean", -1),
    "hits_of_up": Comparison("share of right signs, less always-up's", 1),
    "pinball_of_history": Comparison("pinball loss, relative to five-year quantiles", -1),
    **{
        f"coverage_{name}": Comparison(f"coverage of the {100 * level:g} % quantile, less {100 * level:g} %", 0)
        for name, level in QUANTILES.items()
    },
    "sharpe_of_equal_weight": Comparison("Sharpe ratio of the top 5, less equal weight's", 1),
    "sharpe_of_hrp": Comparison("Sharpe ratio of the top 5, less HRP's", 1),
}


def judge(
    panel: pd.DataFrame,
    outcomes: pd.DataFrame,
    baselines: Mapping[str, pd.DataFrame],
    costs: CostConfig,
) -> tuple[dict[str, Any], dict[str, Rollout]]:
    """Judge a forecaster on some successive weeks.

    Parameters
    ----------
    panel : DataFrame
        `schemas.FORECAST_PANEL`, at least two weeks.
    outcomes : DataFrame
        `schemas.OUTCOMES` of those weeks at least.
    baselines : mapping of str to DataFrame
        ``equal_weight`` and ``hrp`` -> `schemas.BASELINE_WEIGHTS` of those weeks at least.
    costs : CostConfig

    Returns
    -------
    tuple of (dict, dict of str to Rollout)
        The judgement, in the shape that the module describes, and the portfolios behind it.

    Raises
    ------
    NotEnoughDataError
        If there are fewer than two weeks, or a baseline lacks one.
    """
    runs = portfolios(panel, outcomes, baselines, costs)
    judgement = {
        "first_week": str(panel["week"].iloc[0].date()),
        "last_week": str(panel["week"].iloc[-1].date()),
        "weeks": len(panel),
        "forecasts": int(panel["stocks"].sum()),
        "missing": int(panel["missing"].sum()),
        "figures": _figures(panel),
        "portfolios": {name: metrics(run.net, run.turnover) for name, run in runs.items()},
        "comparisons": _comparisons(panel, runs),
    }
    return judgement, runs


def rank_ic_interval(panel: pd.DataFrame) -> dict[str, Any] | None:
    """Return the mean weekly rank correlation with its interval; None below 26 weeks that have one."""
    ic = panel["rank_ic"].dropna()
    return ratio_interval(ic, np.ones(len(ic))) if len(ic) >= MIN_JUDGED_WEEKS else None


def _figures(panel: pd.DataFrame) -> dict[str, Any]:
    sums = panel.drop(columns=["week", "held"]).sum()
    ic = panel["rank_ic"].dropna()
    quantiles = sums["with_quantiles"]
    history = sum(sums[f"pinball_of_history_{name}"] for name in QUANTILES)
    return {
        "mse": _over(sums["squared_error"], sums["stocks"]),
        "mse_of_zero_ratio": _over(sums["squared_error"], sums["squared_error_of_zero"]),
        "mse_of_mean_ratio": _over(sums["squared_error"], sums["squared_error_of_mean"]),
        "hit_rate": _over(sums["hits"], sums["stocks"]),
        "always_up": _over(sums["ups"], sums["stocks"]),
        "rank_ic": float(ic.mean()) if len(ic) else None,
        "pinball_ratio": _over(sum(sums[f"pinball_{name}"] for name in QUANTILES), history),
        "coverage": {name: _over(sums[f"below_{name}"], quantiles) for name in QUANTILES},
    }


def _over(numerator: float, denominator: float) -> float | None:
    return float(numerator / denominator) if denominator > 0 else None


def _comparisons(panel: pd.DataFrame, runs: Mapping[str, Rollout]) -> dict[str, Any]:
    if len(panel) < MIN_JUDGED_WEEKS:
        return dict.fromkeys(COMPARISONS)
    count = panel["with_quantiles"]
    own, theirs = (sum(panel[f"{kind}_{name}"] for name in QUANTILES) for kind in ("pinball", "pinball_of_history"))
    found = {
        "rank_ic": rank_ic_interval(panel),
        **{
            f"mse_of_{rival}": _ratio(
                panel["squared_error"] - panel[f"squared_error_of_{rival}"], panel[f"squared_error_of_{rival}"]
            )
            for rival in ("zero", "mean")
        },
        "hits_of_up": _ratio(panel["hits"] - panel["ups"], panel["stocks"]),
        "pinball_of_history": _ratio(own - theirs, theirs),
        **{
            f"coverage_{name}": _ratio(panel[f"below_{name}"] - level * count, count)
            for name, level in QUANTILES.items()
        },
    }
    for name in BASELINES:
        enough = panel["held"].str.len().gt(0).any()
        found[f"sharpe_of_{name}"] = sharpe_difference(runs["top"].net, runs[name].net) if enough else None
    return found


def _ratio(numerator: Any, denominator: Any) -> dict[str, Any] | None:
    """Return a ratio of sums over the weeks that hold anything; None if those are fewer than 26."""
    there = denominator > 0
    return ratio_interval(numerator[there], denominator[there]) if there.sum() >= MIN_JUDGED_WEEKS else None
