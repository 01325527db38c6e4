"""Charts of the HTML report as Plotly specifications: plain dictionaries, so that equal numbers give equal bytes.

Colours are CSS variables (``var(--ink)``); the page puts the values of the reader's light or dark theme in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allocator_pipeline.config import ALLOCATORS, BASELINES, CASH, PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.metrics import drawdowns, wealth
from allocator_pipeline.evaluation.summary import LABELS, Row

Figure = dict[str, Any]

DASHES = {"candidate": "solid", "reference": "dot", "baseline": "dash"}
_WEALTH_TICKS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100]
SYMBOL_COLOURS = 20
"""How many ``--s0`` ... colours the page defines for symbols."""


def growth(rows: Sequence[Row], last_exit: Mapping[str, str]) -> Figure:
    """Draw wealth (log scale) over drawdown for every row, on one time axis; lesser baselines wait in the legend.

    Parameters
    ----------
    rows : sequence of Row
    last_exit : mapping of str to str
        Allocator -> ISO date at which the last week of its report ends.

    Returns
    -------
    dict
        ``data`` and ``layout`` of a Plotly figure.
    """
    data: list[Figure] = []
    for row in rows:
        net = np.asarray(row.series["weekly"]["net"])
        times = [*row.series["weekly"]["weeks"], last_exit[row.allocator]]  # wealth at each execution, 1 at the first
        line: Figure = {
            "color": colour_of(row),
            "dash": DASHES[row.role],
            "width": 2 if row.role == "candidate" else 1.5,
        }
        common = {
            "type": "scatter",
            "mode": "lines",
            "x": times,
            "name": row.label,
            "legendgroup": row.label,
            "line": line,
            "visible": True if row.role != "baseline" or baseline_of(row) in PRINCIPAL_BASELINES else "legendonly",
        }
        data.append({**common, "y": short([1.0, *wealth(net)]), "hovertemplate": "%{y:.3f}"})
        falls = short([0.0, *drawdowns(net)])
        data.append({**common, "y": falls, "yaxis": "y2", "showlegend": False, "hovertemplate": "%{y:.1%}"})
    return {
        "data": data,
        "layout": layout(
            height=600,
            xaxis=axis(anchor="y2"),
            yaxis=wealth_axis([0.36, 1]),
            yaxis2=axis(domain=[0, 0.30], tickformat=".0%", title={"text": "drawdown"}),
            hovermode="x unified",
        ),
    }


def differences(rows: Sequence[Row]) -> Figure:
    """Draw each policy's Sharpe difference to each baseline with its interval; zero means no difference."""
    policies = [row for row in rows if row.series["against"]][::-1]
    names = list(dict.fromkeys(name for row in policies for name in row.series["against"]))
    data = []
    for number, name in enumerate(names):
        shown = [(row.label, row.series["against"].get(name)) for row in policies]
        pairs = [(label, item) for label, item in shown if item is not None]
        estimates = [item["estimate"] for _, item in pairs]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "orientation": "h",
                "offsetgroup": name,
                "name": f"against {LABELS.get(name, name)}",
                "y": [label for label, _ in pairs],
                "x": short(estimates),
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": short([item["high"] - item["estimate"] for _, item in pairs]),
                    "arrayminus": short([item["estimate"] - item["low"] for _, item in pairs]),
                    "thickness": 2,
                    "width": 0,
                },
                "marker": {
                    "size": 9,
                    "color": f"var(--versus-{number % 2})",
                    "symbol": MARKERS.get(name, "diamond"),
                },
                "hovertemplate": "%{y}: %{x:+.2f}",
            }
        )
    return {
        "data": data,
        "layout": layout(
            height=150 + 44 * len(policies),
            xaxis=axis(title={"text": "Sharpe ratio less the baseline's"}, zeroline=True),
            yaxis=axis(type="category", categoryorder="array", categoryarray=[row.label for row in policies]),
            scattermode="group",
            scattergap=0.55,
        ),
    }


MARKERS = {"equal_weight": "circle", "hrp": "square"}


def weights(row: Row, colours: Mapping[str, str]) -> Figure:
    """Draw target weights over time as a stacked area, the largest holdings at the bottom and cash on top."""
    table = row.series["weights"]
    held = sorted((name for name in table if name != CASH), key=lambda name: (-float(np.mean(table[name])), name))
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "stackgroup": "all",
            "x": row.series["weekly"]["weeks"],
            "y": short(table[name], 4),
            "name": name,
            "line": {"width": 0, "shape": "hv"},
            "fillcolor": colours[name],
            "hovertemplate": "%{y:.1%}",
        }
        for name in [*held, CASH]
        if any(table[name])
    ]
    return {
        "data": data,
        "layout": layout(
            height=300,
            yaxis=axis(range=[0, 1], tickformat=".0%"),
            xaxis=axis(),
            showlegend=False,
            hovermode="closest",
            title={"text": row.label, "x": 0, "xref": "paper", "font": {"size": 14}},
            margin={"l": 44, "r": 8, "t": 34, "b": 28},
        ),
    }


def colour_of(row: Row) -> str:
    """Return the CSS variable of a row's colour."""
    if row.role == "baseline":
        return series_colour(baseline_of(row), "")
    return series_colour(row.role, row.allocator)


def series_colour(name: str, allocator: str) -> str:
    """Return the CSS variable of an allocator's colour or, where none is given, of a baseline's."""
    if allocator:
        return f"var(--{allocator.replace('_', '-')})" if allocator in ALLOCATORS else "var(--ink)"
    if name in BASELINES and name not in PRINCIPAL_BASELINES:
        return f"var(--s{BASELINES.index(name)})"
    return f"var(--{name.replace('_', '-')})"


def wealth_axis(domain: Sequence[float]) -> Figure:
    """Return a log axis of wealth on a part of the height."""
    return axis(domain=list(domain), type="log", tickvals=_WEALTH_TICKS, title={"text": "wealth, start = 1"})


def baseline_of(row: Row) -> str:
    """Return the name of a row's baseline, ``"baseline"`` if it is none of ours."""
    return next((key for key, label in LABELS.items() if row.label.startswith(label)), "baseline")


def symbol_colours(rows: Sequence[Row]) -> dict[str, str]:
    """Return one colour for each symbol that any row holds, the same on every chart; cash is grey."""
    names = sorted({name for row in rows for name, held in row.series["weights"].items() if any(held)} - {CASH})
    return {name: f"var(--s{i % SYMBOL_COLOURS})" for i, name in enumerate(names)} | {CASH: "var(--cash)"}


def layout(**changes: Any) -> Figure:
    """Return the layout that all charts share, with changes."""
    return {
        "font": {"family": "inherit", "size": 12.5, "color": "var(--ink)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 64, "r": 12, "t": 12, "b": 36},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--rule)", "font": {"color": "var(--ink)"}},
        **changes,
    }


def axis(**changes: Any) -> Figure:
    """Return an axis in the style of all charts, with changes."""
    if "title" in changes:
        changes["title"] = {"font": {"size": 13}, "standoff": 8, **changes["title"]}
    return {
        "gridcolor": "var(--rule)",
        "linecolor": "var(--rule)",
        "zeroline": False,
        "zerolinecolor": "var(--faint)",
        "automargin": True,
        **changes,
    }


def short(values: Any, digits: int = 5) -> list[float]:
    """Return plain numbers with few digits: enough for a screen, and a quarter of the bytes."""
    return [float(f"{float(value):.{digits}g}") for value in values]
