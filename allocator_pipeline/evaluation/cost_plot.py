"""Net Sharpe ratios at other costs with their intervals, as a table and a picture for the metadata of assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import MIN_JUDGED_WEEKS, CostConfig
from allocator_pipeline.evaluation.performance import at_cost
from allocator_pipeline.evaluation.plots import markdown_table
from allocator_pipeline.evaluation.significance import sharpe_interval
from allocator_pipeline.evaluation.summary import LABELS, with_interval
from allocator_pipeline.evaluation.svg import COLOURS, FAINT, WIDTH, element, image, rule, text
from allocator_pipeline.evaluation.walk_forward import POLICY

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 240, 46, 20, 50, 42

Levels = Mapping[str, Mapping[float, tuple[float, Mapping[str, Any] | None]]]
"""Series -> basis points -> Sharpe ratio and its interval, None below 26 weeks."""


def sharpe_by_cost(summary: Mapping[str, Any]) -> Levels:
    """Return the Sharpe ratio of every series of a summary at each level of costs, with its interval."""
    costs = CostConfig(**summary["costs"])

    def interval(series: Mapping[str, Any], bps: float) -> Mapping[str, Any] | None:
        if len(series["weekly"]["net"]) < MIN_JUDGED_WEEKS:
            return None
        if bps == costs.cost_bps:
            return series["interval"]
        gross, turnover = (np.asarray(series["weekly"][item]) for item in ("gross", "turnover"))
        return sharpe_interval(at_cost(gross, turnover, costs, bps))

    return {
        name: {
            float(bps): (level["sharpe"], interval(series, float(bps)))
            for bps, level in sorted(series["cost_levels"].items(), key=lambda item: float(item[0]))
        }
        for name, series in summary["series"].items()
    }


def cost_table(levels: Levels) -> str:
    """Return the net Sharpe ratio of every series at each level of costs, with 95 % intervals, as a markdown table."""
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "series": LABELS.get(name, name),
                    **{f"at {bps:g} bps [95 %]": with_interval(item, sharpe) for bps, (sharpe, item) in each.items()},
                }
                for name, each in levels.items()
            ]
        )
    )


def cost_picture(levels: Levels, shown: Sequence[str]) -> str:
    """Draw the Sharpe ratio of some series by the cost of trading, the policy's with its intervals.

    Parameters
    ----------
    levels : mapping
        As `sharpe_by_cost` returns it.
    shown : sequence of str
        Names of series; absent ones are left out.

    Returns
    -------
    str
        A markdown image; equal values give equal text.
    """
    drawn = {name: levels[name] for name in shown if name in levels}
    ends = [item[end] for _, item in drawn[POLICY].values() if item for end in ("low", "high")]
    values = [sharpe for each in drawn.values() for sharpe, _ in each.values()]
    low, high, most = min([*values, *ends]), max([*values, *ends]), max(drawn[POLICY])

    def x(bps: float) -> float:
        return LEFT + bps / most * (WIDTH - LEFT - RIGHT)

    def y(sharpe: float) -> float:
        return HEIGHT - BOTTOM - (sharpe - low) / ((high - low) or 1.0) * (HEIGHT - TOP - BOTTOM)

    parts = [
        text(LEFT, 15, "Net Sharpe ratio by the cost of trading; bars: the policy's 95 % intervals"),
        *(text(x(bps), HEIGHT - 24, f"{bps:g}", FAINT, "middle") for bps in drawn[POLICY]),
        text(WIDTH - 8, HEIGHT - 8, "basis points of turnover", FAINT, "end"),
        *(text(4, y(value) + 4, f"{value:.2f}", FAINT) for value in dict.fromkeys((low, high))),
    ]
    offset = float(LEFT)
    for (name, each), colour in zip(drawn.items(), COLOURS, strict=False):
        label = LABELS.get(name, name)
        parts.append(text(offset, 33, label, colour))
        offset += 7.2 * len(label) + 16
        places = " ".join(f"{x(bps):.1f},{y(sharpe):.1f}" for bps, (sharpe, _) in each.items())
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    parts += [
        rule(x(bps), y(item["low"]), x(bps), y(item["high"]), COLOURS[0], 2)
        for bps, (_, item) in drawn[POLICY].items()
        if item
    ]
    return image("Sharpe ratio by cost", element(parts, HEIGHT))
