"""Lines, bands and points that the charts of the summaries are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.charts import DASHES, Figure, series_colour, short
from allocator_pipeline.evaluation.summary import LABELS


def summary_lines(allocator: str, summary: Mapping[str, Any]) -> Iterator[tuple[str, str, Figure]]:
    """Yield name, label and line of the baselines, of what would be without shrinkage, and of what is served."""
    for name in PRINCIPAL_BASELINES:
        if name in summary["series"]:
            yield name, LABELS[name], {"color": series_colour(name, ""), "width": 1.5, "dash": DASHES["baseline"]}
    colour = series_colour("policy", allocator)
    yield "unshrunk", "unshrunk", {"color": colour, "width": 1.3, "dash": DASHES["reference"]}
    yield "policy", "served", {"color": colour, "width": 2}


def line(
    x: Sequence[Any], y: Any, name: str, style: Figure, hover: str, place: Mapping[str, Any] | None = None
) -> Figure:
    """Return a line; one of a second panel has no entry of its own in the legend. None leaves a gap."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": [None if value is None else short([value])[0] for value in y],
        "name": name,
        "legendgroup": name,
        "line": style,
        "hovertemplate": hover,
        **({**place, "showlegend": False} if place else {}),
    }


def band(x: Sequence[str], low: np.ndarray, high: np.ndarray, name: str, place: Mapping[str, Any]) -> list[Figure]:
    """Return the two edges of a shaded band, the fill between them."""
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


def points(name: str, x: Sequence[float], y: Sequence[str], colour: str, symbol: str, size: int) -> Figure:
    """Return markers at values (horizontal) of categories (vertical)."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": short(x),
        "y": list(y),
        "marker": {"color": colour, "symbol": symbol, "size": size},
        "hovertemplate": "%{y}: %{x:.2f}",
    }


def titled(title: str, top: int = 58) -> Figure:
    """Return title and margins of one of several charts side by side."""
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
