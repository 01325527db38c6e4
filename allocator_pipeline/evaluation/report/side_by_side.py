"""Charts of the summaries side by side: Sharpe ratio by cost, placebos, and what a policy responds to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.charts import Figure, axis, layout, series_colour, short
from allocator_pipeline.evaluation.report.lines import line, points, summary_lines, titled
from allocator_pipeline.evaluation.report.section import Summaries
from allocator_pipeline.evaluation.response_plot import shares_of
from allocator_pipeline.evaluation.summary import LABELS


def cost_lines(allocator: str, summary: Mapping[str, Any]) -> Figure:
    """Draw the net Sharpe ratio by cost, with the interval at the cost that is charged."""
    charged = summary["costs"]["cost_bps"]
    data = []
    for name, label, style in summary_lines(allocator, summary):
        series = summary["series"][name]
        levels = dict(sorted((float(bps), one["sharpe"]) for bps, one in series["cost_levels"].items()))
        drawn = line(list(levels), list(levels.values()), label, style, "%{y:.2f}") | {"mode": "lines+markers"}
        if name == "policy" and series["interval"] and charged in levels:
            at = list(levels).index(charged)
            off = [0.0] * len(levels)
            interval = series["interval"]
            drawn["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": short([*off[:at], interval["high"] - levels[charged], *off[at + 1 :]]),
                "arrayminus": short([*off[:at], levels[charged] - interval["low"], *off[at + 1 :]]),
                "thickness": 1.5,
                "width": 4,
            }
        data.append(drawn)
    return {
        "data": data,
        "layout": layout(
            height=270,
            xaxis=axis(title={"text": "cost, basis points"}, tickvals=[0, 5, 10, 20, 50]),
            yaxis=axis(title={"text": "net Sharpe ratio"}),
            **titled(allocator),
        ),
    }


def placebo(summaries: Summaries) -> Figure:
    """Draw the Sharpe ratios of shuffled forecasts as dots, the real one with its interval, and the baselines."""
    names = list(summaries)[::-1]
    dots: tuple[list[float], list[str]] = ([], [])
    for name in names:
        draws = [draw["unshrunk_sharpe"] for draw in summaries[name]["placebo"]["draws"]]
        dots[0].extend(draws)
        dots[1].extend([name] * len(draws))
    data = [points("forecasts shuffled", *dots, "var(--versus-1)", "circle", 6)]
    data[0]["marker"]["opacity"] = 0.6
    for name in PRINCIPAL_BASELINES:
        values = [summaries[key]["series"][name]["metrics"]["sharpe"] for key in names]
        data.append(points(LABELS[name], values, names, series_colour(name, ""), "line-ns-open", 16))
    real = [summaries[name]["series"]["unshrunk"] for name in names]
    point = points("unshrunk", [one["metrics"]["sharpe"] for one in real], names, "var(--versus-0)", "diamond", 10)
    ends = [one["interval"] or {"low": np.nan, "high": np.nan} for one in real]
    if all(one["interval"] for one in real):
        point["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": short([end["high"] - x for end, x in zip(ends, point["x"], strict=True)]),
            "arrayminus": short([x - end["low"] for end, x in zip(ends, point["x"], strict=True)]),
            "thickness": 1.5,
            "width": 0,
        }
    return {
        "data": [point, *data],
        "layout": layout(
            height=130 + 44 * len(names),
            xaxis=axis(title={"text": "net Sharpe ratio"}),
            yaxis=axis(type="category", categoryorder="array", categoryarray=names),
        ),
    }


def response(title: str, found: Mapping[str, Any], kind: str) -> Figure:
    """Draw what a policy responds to as shares: permutation beside integrated gradients, the strongest on top."""
    methods = [method for method in ("permutation", "integrated_gradients") if found[method]]
    shares = {method: shares_of(found[method][kind]) for method in methods}
    order = sorted(shares["permutation"], key=lambda name: (shares["permutation"][name], name))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": method.replace("_", " "),
            "y": order,
            "x": short([one.get(name, 0.0) for name in order], 4),
            "marker": {"color": f"var(--versus-{number})"},
            "hovertemplate": "%{y}: %{x:.1%}",
        }
        for number, (method, one) in enumerate(shares.items())
    ]
    return {
        "data": data[::-1],
        "layout": layout(
            height=110 + 26 * len(order),
            xaxis=axis(tickformat=".0%", title={"text": "share of the response"}),
            yaxis=axis(type="category"),
            bargap=0.25,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "reversed"},
            **titled(title, 56),
        ),
    }
