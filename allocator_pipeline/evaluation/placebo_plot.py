"""The placebo walks of an allocator as a histogram, for the metadata of assets: the true forecasts among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.summary import LABELS
from allocator_pipeline.evaluation.svg import COLOURS, FAINT, WIDTH, bar, element, image, rule, text

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 240, 20, 20, 74, 26
BINS = 40
SHUFFLED, REAL = "#b9c4cc", COLOURS[0]


def placebo_picture(summary: Mapping[str, Any]) -> str:
    """Draw how many draws of exchanged forecasts had which unshrunk Sharpe ratio, and where the true ones stand.

    Parameters
    ----------
    summary : mapping
        As `allocator_summary.allocator_summary` returns it, with at least one draw.

    Returns
    -------
    str
        A markdown image; the bar above the histogram is the 95 % interval of the true forecasts' Sharpe ratio.
    """
    series, draws = summary["series"], [row["unshrunk_sharpe"] for row in summary["placebo"]["draws"]]
    real, interval = summary["placebo"]["unshrunk_sharpe"], series["unshrunk"]["interval"]
    beside = {name: series[name]["metrics"]["sharpe"] for name in PRINCIPAL_BASELINES if name in series}
    ends = [interval["low"], interval["high"]] if interval else []
    low, high = min([*draws, real, *beside.values(), *ends]), max([*draws, real, *beside.values(), *ends])
    room = 0.02 * (high - low) or 0.1
    low, high = low - room, high + room

    def x(sharpe: float) -> float:
        return LEFT + (sharpe - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    counts, edges = np.histogram(draws, bins=BINS, range=(low, high))
    tall = (HEIGHT - TOP - BOTTOM) / counts.max()
    floor = HEIGHT - BOTTOM
    parts = [
        text(LEFT, 15, f"Unshrunk net Sharpe ratio; bars: {len(draws)} draws of exchanged forecasts"),
        *(
            bar(x(left), floor - tall * count, x(right) - x(left) - 1, tall * count, SHUFFLED)
            for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
            if count
        ),
        *(text(x(value), HEIGHT - 8, f"{value:.2f}", FAINT, "middle") for value in (low + room, high - room)),
        text(LEFT, 33, "true forecasts, 95 % interval", REAL),
        rule(x(real), TOP - 20, x(real), floor, REAL, 2),
    ]
    if interval:
        parts.append(rule(x(interval["low"]), TOP - 14, x(interval["high"]), TOP - 14, REAL, 2))
    offset = LEFT + 200.0
    for (name, sharpe), colour in zip(beside.items(), COLOURS[1:], strict=False):
        parts += [text(offset, 33, LABELS[name], colour), rule(x(sharpe), TOP, x(sharpe), floor, colour, 1.5)]
        offset += 7.2 * len(LABELS[name]) + 16
    return image("placebos", element(parts, HEIGHT))
