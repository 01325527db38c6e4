"""Pictures and tables of an allocator's summary and of the comparison, in markdown, for the Dagster UI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import CASH
from allocator_pipeline.evaluation.allocator_summary import UNSHRUNK
from allocator_pipeline.evaluation.metrics import drawdowns, wealth
from allocator_pipeline.evaluation.placebo import TIE, least_p, placebo_p
from allocator_pipeline.evaluation.plots import line_picture, markdown_table, sharpe_caption
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.report.years import sharpe_of_year
from allocator_pipeline.evaluation.summary import LABELS, percent, plus, signed, with_interval
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
    return {
        "growth": growth_picture(summary),
        "drawdown": drawdown_picture(summary),
        "rolling_sharpe": f"{rolling_picture(summary)}\n\n{caption}",
        "weights": weights_picture(summary),
        "costs_paid": costs_picture(summary),
        "calendar_years": f"{calendar_table(summary, tries)}\n\n{caption}",
        "results": f"{series_table(summary)}\n\n{caption}",
        "cost_levels": f"{cost_table(summary)}\n\n{caption}",
        "other_seeds": f"{summary['recipes']['words']}\n\n{caption}",
        "seeds": f"{seeds_table(summary)}\n\n{caption}",
        "response": response_table(summary),
        "placebo": f"{placebo_words(summary)}\n\n{caption}",
    }


def growth_picture(summary: Summary) -> str:
    """Draw wealth (log scale); the band spans the members of the ensemble, each walking alone."""
    return _with_seeds(summary, lambda net: np.append(1.0, wealth(net)), "wealth, band: seeds (log scale)", log=True)


def drawdown_picture(summary: Summary) -> str:
    """Draw drawdowns; the band spans the members of the ensemble."""
    return _with_seeds(summary, drawdowns, "drawdown, band: seeds")


def rolling_picture(summary: Summary) -> str:
    """Draw the Sharpe ratio of each year that ends in a week."""
    rolling = summary["rolling"]
    if not rolling["weeks"]:
        return f"Fewer than {rolling['window']} weeks: no rolling Sharpe ratio yet."
    lines = {LABELS.get(name, name): rolling[name] for name in rolling if name not in ("weeks", "window")}
    return line_picture(lines, (rolling["weeks"][0], summary["last_exit"]), "Sharpe ratio of the last 52 weeks")


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


def costs_picture(summary: Summary) -> str:
    """Draw the costs paid so far, a fraction of wealth."""
    lines = {
        LABELS.get(name, name): np.cumsum(summary["series"][name]["weekly"]["cost"])
        for name in SHOWN
        if name in summary["series"]
    }
    return line_picture(lines, _span(summary), "costs paid so far, a fraction of wealth")


def calendar_table(summary: Summary, tries: Tries) -> str:
    """Return what each calendar year was worth, as a markdown table."""
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "year": row["year"],
                    "policy": row["version"],
                    "share served": percent(row["share"], 0),
                    "net return": percent(row["return"]),
                    "net Sharpe [95 %]": sharpe_of_year(row, summary, tries).text(),
                    "max drawdown": percent(row["max_drawdown"]),
                    "turnover a week": percent(row["turnover"]),
                    "costs": percent(row["costs"], 2),
                    **{LABELS.get(name, name): percent(value) for name, value in row["returns"].items()},
                }
                for row in summary["calendar"]
            ]
        )
    )


def series_table(summary: Summary) -> str:
    """Return the metrics of every series with the interval of the Sharpe ratio, as a markdown table."""
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "series": LABELS.get(name, name),
                    "net Sharpe [95 %]": with_interval(series["interval"], series["metrics"]["sharpe"]),
                    **{key: value for key, value in series["metrics"].items() if key not in ("sharpe", "weeks")},
                }
                for name, series in summary["series"].items()
            ]
        )
    )


def cost_table(summary: Summary) -> str:
    """Return the net Sharpe ratio of every series at each level of costs, as a markdown table."""
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "series": LABELS.get(name, name),
                    **{f"at {bps} bps": f"{level['sharpe']:.2f}" for bps, level in _by_cost(series)},
                }
                for name, series in summary["series"].items()
            ]
        )
    )


def _by_cost(series: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    return sorted(series["cost_levels"].items(), key=lambda item: float(item[0]))


def seeds_table(summary: Summary) -> str:
    """Return how far the members of the ensemble spread, as a markdown table."""
    rows = {"served": summary["seeds"]["spread"], UNSHRUNK: summary["seeds"]["unshrunk_spread"]}
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "": name,
                    "members": len(summary["seeds"][name]),
                    **{f"{metric} {key}": value for metric, found in spread.items() for key, value in found.items()},
                }
                for name, spread in rows.items()
            ]
        )
    )


def response_table(summary: Summary) -> str:
    """Return what the latest policy responds to, with bars, as markdown tables by feature and by stock."""
    response = summary["response"]
    moved, parts = response["permutation"], response["integrated_gradients"]
    note = (
        f"One-way change of the unshrunk target weights when a feature is permuted among the stocks, or a stock shows "
        f"another's features; and the part of each in the distance from equal weight (integrated gradients). Means of "
        f"{response['weeks']} weeks, percent of wealth."
    )
    return "\n\n".join([note, *(_response_rows(moved[kind], parts and parts[kind]) for kind in ("features", "stocks"))])


def _response_rows(moved: Mapping[str, float], parts: Mapping[str, float] | None) -> str:
    largest = max(moved.values(), default=0.0) or 1.0
    ordered = sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "": name,
                    "permuted": percent(value, 2),
                    "bar": "█" * round(20 * value / largest),
                    "integrated gradients": plus(100 * parts[name]) + " %" if parts else "",
                }
                for name, value in ordered
            ]
        )
    )


def placebo_words(summary: Summary) -> str:
    """Say what the policy earns when the stocks have exchanged their forecasts."""
    placebo = summary["placebo"]
    drawn = [row["unshrunk_sharpe"] for row in placebo["draws"]]
    served = [row["sharpe"] for row in placebo["draws"]]
    if max(abs(value - placebo["unshrunk_sharpe"]) for value in drawn) <= TIE:
        return f"Shuffling the forecasts among the stocks changes nothing in {len(drawn)} draws: no policy reads them."
    above = round(placebo["share_above"] * len(drawn))
    return (
        f"With forecasts shuffled among the stocks, {above} of {len(drawn)} draws have an unshrunk Sharpe ratio of at "
        f"least the true forecasts' {placebo['unshrunk_sharpe']:.2f} (draws: {min(drawn):.2f} to {max(drawn):.2f}). As "
        f"served: {placebo['sharpe']:.2f} (draws: {min(served):.2f} to {max(served):.2f}). Two-sided p "
        f"{placebo_p(placebo):.3f}, of this allocator alone; so many draws show none below {least_p(len(drawn)):.3f}."
    )


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
    bands = {}
    for name, seeds in ((POLICY, "served"), (UNSHRUNK, UNSHRUNK)):
        each = np.array([measured(np.asarray(member["net"])) for member in summary["seeds"][seeds]])
        bands[name] = (each.min(axis=0), each.max(axis=0))
    return line_picture(lines, _span(summary), title, log=log, bands=bands)
