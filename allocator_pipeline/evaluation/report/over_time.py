"""Charts of the summaries over time: wealth with bands over seeds, rolling Sharpe ratio, turnover and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.charts import DASHES, Figure, axis, layout, series_colour, wealth_axis
from allocator_pipeline.evaluation.metrics import drawdowns, wealth
from allocator_pipeline.evaluation.periods import rolling_interval, smoothed_turnover
from allocator_pipeline.evaluation.report.lines import band, line, summary_lines, titled
from allocator_pipeline.evaluation.report.section import Summaries, longest
from allocator_pipeline.evaluation.summary import LABELS


def recipes(allocator: str, summary: Mapping[str, Any]) -> Figure:
    """Draw wealth and drawdown with the band of the whole recipe from every seed there is."""
    walks = summary["recipes"]["walks"]
    return _banded(allocator, summary, [walk["net"] for walk in walks], f"{len(walks)} whole recipes")


def seeds(allocator: str, summary: Mapping[str, Any]) -> Figure:
    """Draw wealth and drawdown with the band of the members of the ensemble, each alone at its share."""
    members = summary["seeds"]["served"]
    return _banded(allocator, summary, [member["net"] for member in members], f"{len(members)} members")


def _banded(allocator: str, summary: Mapping[str, Any], nets: Sequence[Sequence[float]], name_of_band: str) -> Figure:
    """Draw what is served, unshrunk and the baselines before a band of other walks."""
    times = [*summary["weeks"], summary["last_exit"]]
    data: list[Figure] = []
    for path, start, place in ((wealth, 1.0, {}), (drawdowns, 0.0, {"yaxis": "y2"})):
        if nets:
            paths = np.stack([[start, *path(np.asarray(net))] for net in nets])
            data += band(times, paths.min(axis=0), paths.max(axis=0), name_of_band, place)
        for name, label, style in summary_lines(allocator, summary):
            net = np.asarray(summary["series"][name]["weekly"]["net"])
            data.append(line(times, [start, *path(net)], label, style, "%{y:.1%}" if place else "%{y:.3f}", place))
    return {
        "data": data,
        "layout": layout(
            height=400,
            xaxis=axis(anchor="y2"),
            yaxis=wealth_axis([0.36, 1]),
            yaxis2=axis(domain=[0, 0.30], tickformat=".0%"),
            hovermode="x unified",
            **titled(allocator),
        ),
    }


def rolling(summaries: Summaries) -> Figure:
    """Draw the Sharpe ratio of a moving year of every allocator and the baselines, with equal weight's interval."""
    drawn = longest(summaries)["rolling"]
    benchmark = np.array([np.nan if value is None else value for value in drawn["equal_weight"]])
    known = np.isfinite(benchmark)
    low, high = rolling_interval(benchmark, drawn["window"])
    days = [day for day, there in zip(drawn["weeks"], known, strict=True) if there]
    data = band(days, low[known], high[known], "95 % interval", {})
    for name, summary in summaries.items():
        style = {"color": series_colour("policy", name), "width": 2}
        data.append(line(summary["rolling"]["weeks"], summary["rolling"]["policy"], name, style, "%{y:.2f}"))
    for name in PRINCIPAL_BASELINES:
        style = {"color": series_colour(name, ""), "width": 1.5, "dash": DASHES["baseline"]}
        data.append(line(drawn["weeks"], drawn[name], LABELS[name], style, "%{y:.2f}"))
    return {
        "data": data,
        "layout": layout(
            height=400,
            xaxis=axis(),
            yaxis=axis(title={"text": "Sharpe ratio of a year"}, zeroline=True),
            hovermode="x unified",
        ),
    }


def trading(summaries: Summaries) -> Figure:
    """Draw weekly turnover (moving mean) and the costs paid so far of every allocator and the baselines."""
    data: list[Figure] = []
    first = longest(summaries)
    runs = [
        (label, label, first, name, style)
        for name, label, style in summary_lines("", first)
        if name in PRINCIPAL_BASELINES
    ]
    for allocator, summary in summaries.items():
        runs += [
            (f"{allocator}, {label}", allocator, summary, name, style)
            for name, label, style in summary_lines(allocator, summary)
            if name not in PRINCIPAL_BASELINES
        ]
    for label, group, summary, name, style in runs:
        weeks, weekly = summary["weeks"], summary["series"][name]["weekly"]
        turnover = smoothed_turnover(weekly["turnover"])
        for x, y, hover, place in (
            (weeks[-len(turnover) :], turnover, "%{y:.1%}", {}),
            (weeks, np.cumsum(weekly["cost"]), "%{y:.2%}", {"yaxis": "y2"}),
        ):
            shown = name != "unshrunk" and not place  # one entry in the legend for all lines of an allocator
            data.append(line(x, y, label, style, hover, place) | {"legendgroup": group, "showlegend": shown})
    return {
        "data": data,
        "layout": layout(
            height=520,
            xaxis=axis(anchor="y2"),
            yaxis=axis(domain=[0.54, 1], tickformat=".0%", rangemode="tozero", title={"text": "turnover a week"}),
            yaxis2=axis(domain=[0, 0.46], tickformat=".1%", rangemode="tozero", title={"text": "costs paid"}),
            hovermode="x unified",
        ),
    }
