"""Differences of Sharpe ratios with their intervals, drawn for the metadata of assets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.summary import LABELS, plus

WIDTH, ROW, TOP, LEFT, RIGHT = 760, 20, 40, 250, 100
INK, FAINT, MARK = "#1d2329", "#66707a", "#0072b2"


def differences_picture(comparison: Mapping[str, Any]) -> str:
    """Draw each allocator's Sharpe ratio less every baseline's, with 95 % intervals, as a markdown image.

    Parameters
    ----------
    comparison : mapping
        As `comparison.evaluation_summary` returns it. Left out are ties, pairs of too few weeks, and
        allocators with the same returns as one before.

    Returns
    -------
    str
        The image, and under it how many tries there were; equal values give equal text.
    """
    first = comparison["alike"]
    rows = [
        row
        for row in comparison["pairs"]
        if row["bootstrap"] and row["verdict"] != "tie" and first[row["allocator"]] == row["allocator"]
    ]
    words = f"Policies {Tries(comparison['trials']).words()}; an interval that holds zero shows no difference."
    same = [f"{name} has the returns of {other} in every week." for name, other in first.items() if name != other]
    words = " ".join([*same, words])
    if not rows:
        return f"Nothing differs from a baseline, or there are too few weeks. {words}"
    low = min(0.0, *(row["bootstrap"]["low"] for row in rows))
    high = max(0.0, *(row["bootstrap"]["high"] for row in rows))
    height = TOP + ROW * len(rows) + 24

    def place(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(8, 18, "Sharpe ratio less the baseline's, 95 % interval", INK),
        f'<line x1="{place(0):.1f}" x2="{place(0):.1f}" y1="{TOP - 8}" y2="{height - 22}" stroke="{FAINT}"/>',
        *(_text(place(value), height - 6, plus(value), FAINT, "middle") for value in (low, 0.0, high)),
    ]
    for number, row in enumerate(rows):
        y, item = TOP + ROW * number + 8, row["bootstrap"]
        colour = MARK if row["verdict"] == "same" else "#c04a00"
        name = f"{row['allocator']} less {LABELS.get(row['baseline'], row['baseline'])}"
        parts += [
            _text(8, y + 4, name, INK),
            f'<line x1="{place(item["low"]):.1f}" x2="{place(item["high"]):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{place(item["estimate"]):.1f}" cy="{y}" r="4" fill="{colour}"/>',
            _text(WIDTH - 8, y + 4, plus(item["estimate"]), colour, "end"),
        ]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )
    return (
        f"![differences with intervals](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})\n\n{words}"
    )


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'
