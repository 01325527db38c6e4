"""Pictures and tables of an allocator's summary and of the comparison, in markdown, for the Dagster UI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import ANCHOR, CASH, WEEKS_PER_YEAR
from allocator_pipeline.evaluation.allocator_summary import UNSHRUNK
from allocator_pipeline.evaluation.cost_plot import cost_picture, cost_table, sharpe_by_cost
from allocator_pipeline.evaluation.metrics import drawdowns, wealth
from allocator_pipeline.evaluation.periods import rolling_interval, smoothed_turnover
from allocator_pipeline.evaluation.placebo_plot import placebo_picture
from allocator_pipeline.evaluation.plots import line_picture, markdown_table, sharpe_caption
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.response_plot import response_picture
from allocator_pipeline.evaluation.significance import narrow_words
from allocator_pipeline.evaluation.summary import LABELS, signed
from allocator_pipeline.evaluation.summary_tables import (
    calendar_table,
    placebo_words,
    response_table,
    seeds_table,
    series_table,
)
from allocator_pipeline.evaluation.walk_forward import POLICY

SHOWN = (POLICY, UNSHRUNK, "hrp", "equal_weight")
LARGEST = 6
"""How many stocks the picture of weights names."""

Summary = Mapping[str, Any]


def summary_pictures(summary: Summary, tries: Tries) -> dict[str, str]:
    """Return what the UI shows of an allocator's summary: name -> markdown, from growth to placebos.

    Whatever shows a Sharpe ratio ends with the policy's over all weeks: its interval, the tries and the baselines.
    """
    caption = sharpe_caption(summary["series"], tries)
    levels = sharpe_by_cost(summary)
    return {
        "growth": growth_picture(summary),
        "drawdown": drawdown_picture(summary),
        "rolling_sharpe": f"{rolling_picture(summary)}\n\n{caption}",
        "weights": weights_picture(summary),
        "turnover_by_week": turnover_picture(summary),
        "costs_paid": costs_picture(summary),
        "calendar_years": f"{calendar_table(summary, tries)}\n\n{narrow_words(WEEKS_PER_YEAR)}\n\n{caption}",
        "results": f"{series_table(summary)}\n\n{caption}",
        "cost_levels": f"{cost_picture(levels, SHOWN)}\n\n{cost_table(levels)}\n\n{caption}",
        "other_seeds": f"{summary['recipes']['words']}\n\n{caption}",
        "seeds": f"{seeds_table(summary)}\n\n{caption}",
        **{f"response_by_{kind[:-1]}": response_picture(summary["response"], kind) for kind in ("features", "stocks")},
        "response": response_table(summary),
        "placebo": f"{placebo_picture(summary)}\n\n{placebo_words(summary)}\n\n{caption}",
    }


def growth_picture(summary: Summary) -> str:
    """Draw wealth (log scale); the band spans the whole recipes from other seeds, or the members of the ensemble."""
    return _with_seeds(summary, lambda net: np.append(1.0, wealth(net)), "wealth (log scale)", log=True)


def drawdown_picture(summary: Summary) -> str:
    """Draw drawdowns with the same band."""
    return _with_seeds(summary, drawdowns, "drawdown")


def rolling_picture(summary: Summary) -> str:
    """Draw the Sharpe ratio of each year that ends in a week, with the 95 % interval of equal weight's (Lo 2002)."""
    rolling = summary["rolling"]
    if not rolling["weeks"]:
        return f"Fewer than {rolling['window']} weeks: no rolling Sharpe ratio yet."
    lines = {LABELS.get(name, name): rolling[name] for name in rolling if name not in ("weeks", "window")}
    bands = {}
    if ANCHOR in rolling:
        benchmark = np.array([np.nan if value is None else value for value in rolling[ANCHOR]])
        bands[LABELS[ANCHOR]] = rolling_interval(benchmark, rolling["window"])
    title = "Sharpe ratio of the last 52 weeks; band: 95 % interval of equal weight's"
    return line_picture(lines, (rolling["weeks"][0], summary["last_exit"]), title, bands=bands)


def weights_picture(summary: Summary) -> str:
    """Draw target weights over time, stacked: the largest holdings, the others together, and cash on top."""
    table = {name: np.asarray(values) for name, values in summary["weights"].items()}
    stocks = sorted((name for name in table if name != CASH), key=lambda name: (-table[name].mean(), name))
    layers = {name: table[name] for name in stocks[:LARGEST]}
    if stocks[LARGEST:]:
        layers["others"] = np.sum([table[name] for name in stocks[LARGEST:]], axis=0)
    layers[CASH] = table[CASH]
    tops = np.cumsum(list(layers.values()), axis=0)
    bands = {name: (top - layer, top) for (name, layer), top in zip(layers.items(), tops, strict=True)}
    return line_picture({}, _span(summary), "target weights", bands=bands)


def turnover_picture(summary: Summary) -> str:
    """Draw the one-way turnover a week, the mean of a quarter."""
    lines = {
        LABELS.get(name, name): smoothed_turnover(summary["series"][name]["weekly"]["turnover"])
        for name in SHOWN
        if name in summary["series"]
    }
    kept = len(next(iter(lines.values())))
    return line_picture(lines, (summary["weeks"][-kept], summary["last_exit"]), "turnover a week, mean of 13 weeks")


def costs_picture(summary: Summary) -> str:
    """Draw the costs paid so far, a fraction of wealth."""
    lines = {
        LABELS.get(name, name): np.cumsum(summary["series"][name]["weekly"]["cost"])
        for name in SHOWN
        if name in summary["series"]
    }
    return line_picture(lines, _span(summary), "costs paid so far, a fraction of wealth")


def significance_table(comparison: Mapping[str, Any]) -> str:
    """Return every pair of allocator and baseline with tests and verdict, as a markdown table."""
    rows = [
        {
            "allocator": row["allocator"],
            "baseline": LABELS.get(row["baseline"], row["baseline"]),
            "Sharpe difference [95 %]": signed(row["bootstrap"]),
            "bootstrap p": _p_value(row["bootstrap"]),
            "Ledoit-Wolf p": _p_value(row["ledoit_wolf"]),
            "above luck": f"{row['deflated']['probability']:.3f}" if row["deflated"] else "-",
            "in words": row["words"],
        }
        for row in comparison["pairs"]
    ]
    return f"{markdown_table(pd.DataFrame(rows))}\n\nPolicies {Tries(comparison['trials']).words()}."


def sentences(words: Sequence[str]) -> str:
    """Return sentences as a markdown list."""
    return "\n".join(f"- {one}" for one in words)


def _p_value(test: Mapping[str, Any] | None) -> str:
    return f"{test['p_value']:.3f}" if test else "-"


def _span(summary: Summary) -> tuple[str, str]:
    return summary["first_week"], summary["last_exit"]


def _with_seeds(
    summary: Summary, measured: Callable[[np.ndarray], np.ndarray], title: str, *, log: bool = False
) -> str:
    lines = {
        LABELS.get(name, name): measured(np.asarray(summary["series"][name]["weekly"]["net"]))
        for name in SHOWN
        if name in summary["series"]
    }
    walks = summary["recipes"]["walks"]
    if walks:
        kind = f"{len(walks)} whole recipes"
        nets = {POLICY: [walk["net"] for walk in walks], UNSHRUNK: [walk["unshrunk_net"] for walk in walks]}
    else:
        kind = f"{len(summary['seeds']['served'])} members of the ensemble, no whole recipe"
        nets = {
            name: [member["net"] for member in summary["seeds"][seeds]]
            for name, seeds in ((POLICY, "served"), (UNSHRUNK, UNSHRUNK))
        }
    bands = {}
    for name, some in nets.items():
        each = np.array([measured(np.asarray(net)) for net in some])
        bands[name] = (each.min(axis=0), each.max(axis=0))
    return line_picture(lines, _span(summary), f"{title}; band: {kind}", log=log, bands=bands)
