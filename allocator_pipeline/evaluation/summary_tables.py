"""Tables and words of an allocator's summary in markdown, for the Dagster UI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from allocator_pipeline.evaluation.allocator_summary import UNSHRUNK
from allocator_pipeline.evaluation.placebo import TIE, least_p, placebo_p
from allocator_pipeline.evaluation.plots import markdown_table
from allocator_pipeline.evaluation.report.estimates import Tries, growth_text
from allocator_pipeline.evaluation.report.years import sharpe_of_year
from allocator_pipeline.evaluation.summary import LABELS, percent, plus, with_interval

Summary = Mapping[str, Any]


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
    """Return the metrics of every series with the intervals of Sharpe ratio and CAGR, as a markdown table."""
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "series": LABELS.get(name, name),
                    "net Sharpe [95 %]": with_interval(series["interval"], series["metrics"]["sharpe"]),
                    "CAGR [95 %]": growth_text(series),
                    **{
                        key: value for key, value in series["metrics"].items() if key not in ("sharpe", "cagr", "weeks")
                    },
                }
                for name, series in summary["series"].items()
            ]
        )
    )


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
    """Return what the latest policy responds to, as markdown tables by feature and by stock."""
    response = summary["response"]
    moved, parts = response["permutation"], response["integrated_gradients"]
    note = (
        f"One-way change of the unshrunk target weights when a feature is permuted among the stocks, or a stock shows "
        f"another's features; and the part of each in the distance from equal weight (integrated gradients). Means of "
        f"{response['weeks']} weeks, percent of wealth."
    )
    return "\n\n".join([note, *(_response_rows(moved[kind], parts and parts[kind]) for kind in ("features", "stocks"))])


def _response_rows(moved: Mapping[str, float], parts: Mapping[str, float] | None) -> str:
    ordered = sorted(moved.items(), key=lambda item: (-item[1], item[0]))
    return markdown_table(
        pd.DataFrame(
            [
                {
                    "": name,
                    "permuted": percent(value, 2),
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
