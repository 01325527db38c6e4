"""The forecast panel over years: each forecaster judged on all its weeks, with what the pictures need beside it.

Shape of a summary (JSON values only; equal inputs give an equal one)::

    format
    forecasters  {name: a judgement (`forecast_panel`), and with it
                     years    [first, last]
                     by_year  {year: {weeks, rank_ic: interval or None}}
                     weekly   {weeks: [ISO], net: {top, equal_weight, hrp: [...]}}}
    absent       {name: why it was not judged}
    words        [{about: name, or "all of them", says: [sentences]}]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation.forecast_panel import judge, rank_ic_interval
from allocator_pipeline.evaluation.forecast_words import forecast_findings

FORMAT = 1

TOO_FEW = "fewer than two weeks that it forecast have known returns."


def forecast_summary(
    panels: Mapping[str, Mapping[int, pd.DataFrame]],
    outcomes: pd.DataFrame,
    baselines: Mapping[str, pd.DataFrame],
    costs: CostConfig,
    absent: Mapping[str, str],
) -> dict[str, Any]:
    """Judge every forecaster over the years that run without a hole up to its last.

    Parameters
    ----------
    panels : mapping of str to mapping of int to DataFrame
        Forecaster -> year -> `schemas.FORECAST_PANEL`. One with fewer than two weeks in all is not judged, and said
        to be absent.
    outcomes : DataFrame
        `schemas.OUTCOMES` of all those years.
    baselines : mapping of str to DataFrame
        ``equal_weight`` and ``hrp`` -> `schemas.BASELINE_WEIGHTS` of all those years.
    costs : CostConfig
    absent : mapping of str to str
        Why a forecaster has no panel or no rows, in words; the others that are not judged have too few weeks.

    Returns
    -------
    dict
        In the shape that the module describes.
    """
    judged: dict[str, Any] = {}
    unjudged = {name: why for name, why in absent.items() if name not in panels}
    for name, by_year in sorted(panels.items()):
        filled = {year: panel for year, panel in by_year.items() if len(panel)}
        years = without_hole(filled)
        table = pd.concat([filled[year] for year in years], ignore_index=True) if years else pd.DataFrame()
        if len(table) < 2:
            unjudged[name] = absent.get(name, TOO_FEW)
            continue
        judgement, runs = judge(table, outcomes, baselines, costs)
        judged[name] = judgement | {
            "years": [years[0], years[-1]],
            "by_year": {
                str(year): {"weeks": len(filled[year]), "rank_ic": rank_ic_interval(filled[year])} for year in years
            },
            "weekly": {
                "weeks": table["week"].dt.date.astype(str).tolist(),
                "net": {key: np.round(run.net, 8).tolist() for key, run in runs.items()},
            },
        }
    return {
        "format": FORMAT,
        "forecasters": judged,
        "absent": unjudged,
        "words": forecast_findings(judged, unjudged),
    }


def without_hole(years: Mapping[int, Any]) -> list[int]:
    """Return the years that follow one another up to the last one, in order."""
    run: list[int] = []
    for year in sorted(years, reverse=True):
        if run and year != run[-1] - 1:
            break
        run.append(year)
    return run[::-1]
