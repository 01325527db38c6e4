"""Differences of Sharpe ratios with their intervals, drawn for the metadata of assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.summary import LABELS, plus
from allocator_pipeline.evaluation.svg import COLOURS, FAINT, WIDTH, element, image, rule, text

ROW, TOP, LEFT, RIGHT = 20, 40, 250, 100
MARK, FOUND = COLOURS[:2]


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
        text(8, 18, "Sharpe ratio less the baseline's, 95 % interval"),
        rule(place(0), TOP - 8, place(0), height - 22, FAINT),
        *(text(place(value), height - 6, plus(value), FAINT, "middle") for value in (low, 0.0, high)),
    ]
    for number, row in enumerate(rows):
        y, item = TOP + ROW * number + 8, row["bootstrap"]
        colour = MARK if row["verdict"] == "same" else FOUND
        name = f"{row['allocator']} less {LABELS.get(row['baseline'], row['baseline'])}"
        parts += [
            text(8, y + 4, name),
            rule(place(item["low"]), y, place(item["high"]), y, colour, 2),
            f'<circle cx="{place(item["estimate"]):.1f}" cy="{y}" r="4" fill="{colour}"/>',
            text(WIDTH - 8, y + 4, plus(item["estimate"]), colour, "end"),
        ]
    return f"{image('differences with intervals', element(parts, height))}\n\n{words}"
