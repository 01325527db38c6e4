"""Year by year: returns, Sharpe ratios and served shares by calendar year, and the Sharpe ratio of a moving year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from allocator_pipeline.config import MIN_JUDGED_WEEKS, PRINCIPAL_BASELINES, WEEKS_PER_YEAR
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.evaluation.page import table
from allocator_pipeline.evaluation.report import over_time
from allocator_pipeline.evaluation.report.estimates import Sharpe, Tries, sharpe_charts
from allocator_pipeline.evaluation.report.section import Section, Summaries, folded, note, without_summary
from allocator_pipeline.evaluation.significance import narrow_words, sharpe_interval
from allocator_pipeline.evaluation.summary import LABELS, in_order, percent


def by_year(allocators: Sequence[str], summaries: Summaries, tries: Tries) -> Section:
    """Show every calendar year of every allocator beside the baselines' returns."""
    parts: list[str] = []
    for allocator, summary in summaries.items():
        names = list(in_order({name: None for year in summary["calendar"] for name in year["returns"]}))
        header = [
            "",
            "policy",
            "share served",
            "return",
            "net Sharpe ratio",
            "max drawdown",
            "turnover a week",
            "costs",
        ]
        header += [f"{LABELS.get(name, name)}: return" for name in names]
        body = [
            [
                str(year["year"]),
                f"<code>{escape(year['version'])}</code>",
                "" if year["share"] is None else percent(year["share"], 0),
                percent(year["return"]),
                sharpe_of_year(year, summary, tries).html(),
                percent(year["max_drawdown"]),
                percent(year["turnover"]),
                percent(year["costs"], 2),
                *(percent(year["returns"][name]) if name in year["returns"] else "" for name in names),
            ]
            for year in summary["calendar"]
        ]
        parts.append(folded(allocator, table(header, body), unfolded=not parts))
    remark = (
        "A year of weeks says next to nothing about a Sharpe ratio: its 95 % interval is about four wide. "
        f"{narrow_words(WEEKS_PER_YEAR)} The policy of a year was trained on the years before; the share is how "
        "much of its tilt its own training weeks justified."
    )
    return Section(
        "years",
        "Year by year",
        "".join(parts) + (note(remark) if parts else "") + without_summary(allocators, summaries),
    )


def sharpe_of_year(year: Mapping[str, Any], summary: Mapping[str, Any], tries: Tries) -> Sharpe:
    """Return the Sharpe ratio of a year; a week belongs to the year of its Monday, as its execution does."""
    picked = np.array([week.startswith(f"{year['year']}-") for week in summary["weeks"]])
    nets = {
        name: np.asarray(summary["series"][name]["weekly"]["net"])[picked]
        for name in ("policy", *PRINCIPAL_BASELINES)
        if name in summary["series"]
    }
    own = nets.pop("policy")
    interval = sharpe_interval(own) if len(own) >= MIN_JUDGED_WEEKS else None
    beside = {name: float(sharpe_ratio(net)) if len(net) > 1 else 0.0 for name, net in nets.items()}
    return Sharpe(year["sharpe"], interval, tries, beside)


def rolling(allocators: Sequence[str], summaries: Summaries, tries: Tries) -> Section:
    """Show the Sharpe ratio of a moving year."""
    if not summaries:
        return Section("rolling", "Rolling Sharpe ratio", without_summary(allocators, summaries))
    window = next(iter(summaries.values()))["rolling"]["window"]
    place = sharpe_charts(
        {"rolling-sharpe": f"Sharpe ratio of the last {window} weeks of every allocator, equal weight and HRP"},
        interval="Shaded: equal weight's 95 % interval (Lo 2002, independent weeks), so little does a year tell.",
        tries=tries,
        text=f"Of the last {window} weeks, net and annualised.",
    )
    return Section(
        "rolling",
        "Rolling Sharpe ratio",
        place + without_summary(allocators, summaries),
        {"rolling-sharpe": over_time.rolling(summaries)},
    )
