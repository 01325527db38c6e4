"""Pictures of the forecast panel: Plotly specifications for its page, and markdown for the Dagster UI.

As in `charts`, colours are CSS variables and equal numbers give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.evaluation.charts import Figure, axis, layout, short
from allocator_pipeline.evaluation.forecast_panel import BASELINES, COMPARISONS
from allocator_pipeline.evaluation.metrics import wealth
from allocator_pipeline.evaluation.plots import line_picture, markdown_table
from allocator_pipeline.evaluation.summary import LABELS

Judgements = Mapping[str, Mapping[str, Any]]

SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")


def rank_correlations(judgements: Judgements) -> Figure:
    """Draw each year's mean weekly rank correlation with its bootstrap interval."""
    data = []
    for number, (name, one) in enumerate(judgements.items()):
        known = {int(year): item["rank_ic"] for year, item in one["by_year"].items() if item["rank_ic"] is not None}
        data.append(_points(number, name, list(known), list(known.values()), upright=True))
    return {
        "data": data,
        "layout": layout(
            height=360,
            xaxis=axis(dtick=2, tickformat="d"),
            yaxis=axis(title={"text": "mean weekly rank correlation"}, zeroline=True),
            scattermode="group",
            scattergap=0.4,
        ),
    }


def differences(judgements: Judgements, names: Sequence[str], title: str) -> Figure:
    """Draw some comparisons of every forecaster with their intervals; zero means no difference."""
    labels = [COMPARISONS[name].label for name in names]
    data = []
    for number, (forecaster, one) in enumerate(judgements.items()):
        found = {label: one["comparisons"][name] for label, name in zip(labels, names, strict=True)}
        known = {label: item for label, item in found.items() if item is not None}
        data.append(_points(number, forecaster, list(known), list(known.values()), upright=False))
    return {
        "data": data,
        "layout": layout(
            height=120 + (24 + 16 * len(judgements)) * len(names),
            xaxis=axis(title={"text": title}, zeroline=True),
            yaxis=axis(type="category", categoryorder="array", categoryarray=labels[::-1]),
            scattermode="group",
            scattergap=0.4,
        ),
    }


def growth(judgements: Judgements) -> Figure:
    """Draw the wealth of each forecaster's top stocks, and of the baselines over the longest of their weeks (log)."""
    data: list[Figure] = []
    for number, (name, one) in enumerate(judgements.items()):
        data.append(_line(one["weekly"]["weeks"], one["weekly"]["net"]["top"], name, _colour(number), "solid"))
    longest = max(judgements.values(), key=lambda one: one["weeks"])
    for name in BASELINES:
        colour = f"var(--{name.replace('_', '-')})"
        data.append(_line(longest["weekly"]["weeks"], longest["weekly"]["net"][name], LABELS[name], colour, "dash"))
    return {
        "data": data,
        "layout": layout(
            height=420,
            xaxis=axis(),
            yaxis=axis(type="log", title={"text": "wealth, start = 1"}, dtick="D2"),
            hovermode="x unified",
        ),
    }


def growth_picture(judgement: Mapping[str, Any], net: Mapping[str, Sequence[float]]) -> str:
    """Draw wealth of the top stocks and the baselines as a markdown image."""
    lines = {LABELS.get(name, "top 5"): [1.0, *wealth(np.asarray(values))] for name, values in net.items()}
    span = (judgement["first_week"], judgement["last_week"])
    return line_picture(lines, span, "wealth after costs, start = 1 (log scale)", log=True)


def rank_ic_picture(name: str, panel: pd.DataFrame) -> str:
    """Draw the running sum of the weekly rank correlations as a markdown image: a steady slope is skill."""
    ic = panel.dropna(subset=["rank_ic"])
    if ic.empty:
        return "No week has a rank correlation."
    span = (str(ic["week"].iloc[0].date()), str(ic["week"].iloc[-1].date()))
    return line_picture({name: ic["rank_ic"].cumsum().to_numpy()}, span, "running sum of weekly rank correlations")


def comparison_table(judgement: Mapping[str, Any]) -> str:
    """Return the comparisons of one judgement as a markdown table."""
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "difference": COMPARISONS[name].label,
                    "estimate": item["estimate"],
                    "low": item["low"],
                    "high": item["high"],
                }
                for name, item in judgement["comparisons"].items()
                if item is not None
            ],
            columns=["difference", "estimate", "low", "high"],
        ),
        4,
    )


COVERAGE = tuple(f"coverage_{name}" for name in QUANTILES)
LOSSES = ("mse_of_zero", "mse_of_mean", "pinball_of_history")


def _points(number: int, name: str, places: Sequence[Any], items: Sequence[Mapping[str, Any]], upright: bool) -> Figure:
    value, error, place = ("y", "error_y", "x") if upright else ("x", "error_x", "y")
    point: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "offsetgroup": name,
        place: list(places),
        value: short([item["estimate"] for item in items]),
        error: {
            "type": "data",
            "symmetric": False,
            "array": short([item["high"] - item["estimate"] for item in items]),
            "arrayminus": short([item["estimate"] - item["low"] for item in items]),
            "thickness": 1.5,
            "width": 0,
        },
        "marker": {"size": 7, "color": _colour(number), "symbol": SYMBOLS[number % len(SYMBOLS)]},
        "hovertemplate": "%{x}: %{y:+.4f}" if upright else "%{y}: %{x:+.4f}",
    }
    return point if upright else point | {"orientation": "h"}


def _line(weeks: Sequence[str], net: Sequence[float], name: str, colour: str, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(weeks),
        "y": short(wealth(np.asarray(net))),
        "line": {"color": colour, "dash": dash, "width": 1.8},
        "hovertemplate": "%{y:.2f}",
    }


def _colour(number: int) -> str:
    return f"var(--forecaster-{number % 6})"
