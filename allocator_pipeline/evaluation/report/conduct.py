"""How the policies behave: weights, trading and its costs, and what they respond to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.config import ANCHOR
from allocator_pipeline.evaluation import charts
from allocator_pipeline.evaluation.page import chart, table
from allocator_pipeline.evaluation.performance import TIE
from allocator_pipeline.evaluation.report import over_time, side_by_side
from allocator_pipeline.evaluation.report.estimates import Tries, sharpe_charts
from allocator_pipeline.evaluation.report.section import Section, Summaries, groups, labelled, note, without_summary
from allocator_pipeline.evaluation.summary import Row, percent


def weights(policies: Sequence[Row]) -> Section:
    """Show target weights over time."""
    colours = charts.symbol_colours(policies)
    places = "".join(chart(f"weights-{row.allocator}", f"Target weights of {row.label} over time") for row in policies)
    key = "".join(f'<li><i style="background:{colour}"></i>{escape(name)}</li>' for name, colour in colours.items())
    return Section(
        "weights",
        "Weights over time",
        f'<div class="pair">{places}</div>\n<ul class="key">{key}</ul>',
        {f"weights-{row.allocator}": charts.weights(row, colours) for row in policies},
    )


def trading(allocators: Sequence[str], summaries: Summaries, tries: Tries) -> Section:
    """Show turnover, what it has cost, and what it would leave at other costs."""
    if not summaries:
        return Section("costs", "Turnover and costs", without_summary(allocators, summaries))
    cost = next(iter(summaries.values()))["costs"]["cost_bps"]
    grid = sharpe_charts(
        {f"costs-{name}": f"Net Sharpe ratio of {name} and the baselines by cost of trading" for name in summaries},
        interval=f"The bar at {cost:g} basis points, what is charged here, is the 95 % interval.",
        tries=tries,
        text="Net Sharpe ratio by the cost of a unit of turnover, in basis points. Dotted: unshrunk.",
    )
    body = chart("trading", "Weekly turnover and costs paid so far, of every allocator, equal weight and HRP")
    body += note(
        "Above: one-way turnover, mean of 13 weeks. Below: costs paid so far, as a share of wealth. Dotted: unshrunk."
    )
    body += (
        f"<h3>Sensitivity to costs</h3>{grid}{_cagr_by_cost(summaries, tries)}{without_summary(allocators, summaries)}"
    )
    figures = {f"costs-{name}": side_by_side.cost_lines(name, summary) for name, summary in summaries.items()}
    return Section("costs", "Turnover and costs", body, {"trading": over_time.trading(summaries), **figures})


def _cagr_by_cost(summaries: Summaries, tries: Tries) -> str:
    shown = [(label, name, summary["series"][name], summary) for label, name, summary in labelled(summaries)]
    levels = sorted(shown[0][2]["cost_levels"], key=float)
    body = [
        [
            label,
            *(percent(one["cost_levels"][level]["cagr"]) for level in levels),
            escape(_break_even_words(one, summary["series"])),
        ]
        for label, _, one, summary in shown
    ]
    header = ["CAGR at a cost of", *(f"{level} bps" for level in levels), "breaks even with equal weight at"]
    remark = (
        f"Each row's CAGR at the cost that is charged has its 95 % interval in the table of every metric, "
        f"{tries.words()}; another cost moves the CAGR and its interval alike."
    )
    return table(header, body, groups([name for _, name, _, _ in shown])) + note(remark)


def _break_even_words(series: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> str:
    """Say at what cost a series grows like equal weight: ``"37 bps"``, or why there is none; nothing of itself.

    Parameters
    ----------
    series : mapping
        ``metrics`` and ``cost_levels``, as `performance.performance` returns them.
    others : mapping of str to dict
        Series over the same weeks, equal weight among them.
    """
    if series is others[ANCHOR]:
        return ""
    bps = series["metrics"].get("break_even_bps")
    if bps is not None:
        return f"{bps:.0f} bps"
    ahead = series["cost_levels"]["0"]["cagr"] - others[ANCHOR]["cost_levels"]["0"]["cagr"]
    return "ahead at any cost" if ahead > TIE else "not ahead even without costs"


def response(allocators: Sequence[str], summaries: Summaries) -> Section:
    """Show what moves the latest policies: features and stocks, by permutation and by integrated gradients."""
    places, figures = [], {}
    told = {name: found for name, summary in summaries.items() if (found := summary["response"])}
    for kind, words in (("features", "feature"), ("stocks", "stock")):
        for name, found in told.items():
            key = f"response-{kind}-{name}"
            places.append(chart(key, f"What {name} responds to, by {words}: {_leaders(found, kind)}"))
            figures[key] = side_by_side.response(f"{name}, by {words}", found, kind)
    remark = (
        "Of the latest policies, unshrunk. Permutation: how far target weights move (one-way) when a feature is "
        "permuted among the stocks, or a stock shows another's features. Integrated gradients: the part of each in "
        "the distance from equal weight, without its sign. Both as shares of their sums, so that they can be "
        "compared. What a policy responds to need not be worth anything."
    )
    body = f'<div class="pair">{"".join(places)}</div>{note(remark)}' if places else ""
    return Section("response", "What the policies respond to", body + without_summary(allocators, summaries), figures)


def _leaders(found: Mapping[str, Mapping[str, Mapping[str, float]]], kind: str) -> str:
    """Name the three strongest, for readers who cannot see the chart."""
    moved = found["permutation"][kind]
    return ", ".join(sorted(moved, key=lambda name: (-abs(moved[name]), name))[:3]) or "nothing"
