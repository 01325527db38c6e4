"""Charts of the summaries over years, in the style of `charts`: Plotly specifications with CSS variables as colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from allocator_pipeline.config import WEEKS_PER_YEAR
from allocator_pipeline.evaluation.charts import DASHES, Figure, axis, layout, series_colour, short, wealth_axis
from allocator_pipeline.evaluation.metrics import drawdowns, wealth
from allocator_pipeline.evaluation.report.estimates import BESIDE
from allocator_pipeline.evaluation.report.section import Summaries, longest
from allocator_pipeline.evaluation.summary import LABELS

NORMAL_95 = 1.96
SMOOTH = 13
"""Weeks of the moving mean of turnover: a quarter."""


def seeds(allocator: str, summary: Mapping[str, Any]) -> Figure:
    """Draw wealth and drawdown of what is served, unshrunk and the baselines, with the band of the served seeds."""
    times = [*summary["weeks"], summary["last_exit"]]
    members = np.array([member["net"] for member in summary["seeds"]["served"]])
    data: list[Figure] = []
    for path, start, place in ((wealth, 1.0, {}), (drawdowns, 0.0, {"yaxis": "y2"})):
        if len(members):
            paths = np.stack([[start, *path(net)] for net in members])
            data += _band(times, paths.min(axis=0), paths.max(axis=0), f"{len(members)} seeds", place)
        for name, label, line in _lines(allocator, summary):
            net = np.asarray(summary["series"][name]["weekly"]["net"])
            data.append(_line(times, [start, *path(net)], label, line, "%{y:.1%}" if place else "%{y:.3f}", place))
    return {
        "data": data,
        "layout": layout(
            height=400,
            xaxis=axis(anchor="y2"),
            yaxis=wealth_axis([0.36, 1]),
            yaxis2=axis(domain=[0, 0.30], tickformat=".0%"),
            hovermode="x unified",
            **_titled(allocator),
        ),
    }


def rolling(summaries: Summaries) -> Figure:
    """Draw the Sharpe ratio of a moving year of every allocator and the baselines, with equal weight's interval."""
    drawn = longest(summaries)["rolling"]
    benchmark = np.array([np.nan if value is None else value for value in drawn["equal_weight"]])
    weekly = benchmark / np.sqrt(WEEKS_PER_YEAR)
    error = np.sqrt(WEEKS_PER_YEAR / drawn["window"] * (1 + weekly**2 / 2))  # Lo (2002), independent normal weeks
    known = np.isfinite(benchmark)
    low, high = benchmark - NORMAL_95 * error, benchmark + NORMAL_95 * error
    days = [day for day, there in zip(drawn["weeks"], known, strict=True) if there]
    data = _band(days, low[known], high[known], "95 % interval", {})
    for name, summary in summaries.items():
        line = {"color": series_colour("policy", name), "width": 2}
        data.append(_line(summary["rolling"]["weeks"], summary["rolling"]["policy"], name, line, "%{y:.2f}"))
    for name in BESIDE:
        line = {"color": series_colour(name, ""), "width": 1.5, "dash": DASHES["baseline"]}
        data.append(_line(drawn["weeks"], drawn[name], LABELS[name], line, "%{y:.2f}"))
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
    widest = longest(summaries)
    runs = [
        (label, summary["weeks"], summary["series"][name]["weekly"], line)
        for allocator, summary in summaries.items()
        for name, label, line in _lines(allocator, summary, beside=())
    ]
    for name in BESIDE:
        line = {"color": series_colour(name, ""), "width": 1.5, "dash": DASHES["baseline"]}
        runs.append((LABELS[name], widest["weeks"], widest["series"][name]["weekly"], line))
    for label, weeks, weekly, line in runs:
        turnover = np.convolve(weekly["turnover"], np.ones(SMOOTH) / SMOOTH, mode="valid")
        data.append(_line(weeks[SMOOTH - 1 :], turnover, label, line, "%{y:.1%}"))
        data.append(_line(weeks, np.cumsum(weekly["cost"]), label, line, "%{y:.2%}", {"yaxis": "y2"}))
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


def cost_lines(allocator: str, summary: Mapping[str, Any]) -> Figure:
    """Draw the net Sharpe ratio by cost, with the interval at the cost that is charged."""
    charged = summary["costs"]["cost_bps"]
    data = []
    for name, label, line in _lines(allocator, summary):
        series = summary["series"][name]
        levels = {float(level): one["sharpe"] for level, one in series["cost_levels"].items()}
        drawn = _line(list(levels), list(levels.values()), label, line, "%{y:.2f}") | {"mode": "lines+markers"}
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
            **_titled(allocator),
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
    data = [_points("forecasts shuffled", *dots, "var(--versus-1)", "circle", 6)]
    data[0]["marker"]["opacity"] = 0.6
    for name in BESIDE:
        values = [summaries[key]["series"][name]["metrics"]["sharpe"] for key in names]
        data.append(_points(LABELS[name], values, names, series_colour(name, ""), "line-ns-open", 16))
    real = [summaries[name]["series"]["unshrunk"] for name in names]
    point = _points("unshrunk", [one["metrics"]["sharpe"] for one in real], names, "var(--versus-0)", "diamond", 10)
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
    shares = {method: _shares(found[method][kind]) for method in methods}
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
            **_titled(title, 56),
        ),
    }


def _lines(
    allocator: str, summary: Mapping[str, Any], beside: Sequence[str] = BESIDE
) -> Iterator[tuple[str, str, Figure]]:
    """Yield name, label and line of the baselines, of what would be without shrinkage, and of what is served."""
    for name in beside:
        if name in summary["series"]:
            yield name, LABELS[name], {"color": series_colour(name, ""), "width": 1.5, "dash": DASHES["baseline"]}
    colour = series_colour("policy", allocator)
    label = "unshrunk" if beside else f"{allocator} unshrunk"
    yield "unshrunk", label, {"color": colour, "width": 1.3, "dash": DASHES["reference"]}
    yield "policy", "served" if beside else allocator, {"color": colour, "width": 2}


def _line(
    x: Sequence[Any], y: Any, name: str, line: Figure, hover: str, place: Mapping[str, Any] | None = None
) -> Figure:
    """Return a line; one of a second panel has no entry of its own in the legend. None leaves a gap."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": [None if value is None else short([value])[0] for value in y],
        "name": name,
        "legendgroup": name,
        "line": line,
        "hovertemplate": hover,
        **({**place, "showlegend": False} if place else {}),
    }


def _band(x: Sequence[str], low: np.ndarray, high: np.ndarray, name: str, place: Mapping[str, Any]) -> list[Figure]:
    edge = {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "line": {"width": 0},
        "legendgroup": name,
        "hoverinfo": "skip",
        **place,
    }
    return [
        {**edge, "y": short(low), "showlegend": False},
        {
            **edge,
            "y": short(high),
            "name": name,
            "fill": "tonexty",
            "fillcolor": "var(--band)",
            "showlegend": not place,
        },
    ]


def _points(name: str, x: Sequence[float], y: Sequence[str], colour: str, symbol: str, size: int) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": short(x),
        "y": list(y),
        "marker": {"color": colour, "symbol": symbol, "size": size},
        "hovertemplate": "%{y}: %{x:.2f}",
    }


def _shares(moved: Mapping[str, float]) -> dict[str, float]:
    total = sum(abs(value) for value in moved.values()) or 1.0
    return {name: abs(value) / total for name, value in moved.items()}


def _titled(title: str, top: int = 58) -> Figure:
    return {
        "title": {
            "text": title,
            "x": 0,
            "xref": "paper",
            "y": 1,
            "yref": "container",
            "pad": {"t": 10},
            "font": {"size": 14},
        },
        "margin": {"l": 48, "r": 10, "t": top, "b": 34},
    }
