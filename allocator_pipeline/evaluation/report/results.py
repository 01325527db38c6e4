"""What it is about, the result table, and every metric of what is served and of what would be without shrinkage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.page import table
from allocator_pipeline.evaluation.report.court import champion_of, seal
from allocator_pipeline.evaluation.report.estimates import Tries, difference, growth, sharpe_of
from allocator_pipeline.evaluation.report.section import (
    Section,
    Summaries,
    bullets,
    groups,
    labelled,
    note,
    without_summary,
)
from allocator_pipeline.evaluation.summary import Reports, Row, Verdicts, percent, verdict_word

UNIVERSES = {
    "point_in_time": "Point in time: the 15 most liquid stocks, chosen anew each year from earlier prices.",
    "fixed": "Fixed: one list for all years, chosen by liquidity at the end of the data. Its stocks are known to have "
    "done well enough to be there, so that every level of return below is flattered.",
}

METRICS = {
    "sortino": ("Sortino ratio", "{:.2f}", 1),
    "cagr": ("CAGR, 95 %", "{:.1f} %", 100),
    "volatility": ("volatility a year", "{:.1f} %", 100),
    "max_drawdown": ("max drawdown", "{:.1f} %", 100),
    "drawdown_weeks": ("weeks under water", "{:.0f}", 1),
    "cvar": ("CVaR of a week", "{:.1f} %", 100),
    "tail_hit_rate": ("worst weeks won", "{:.0f} %", 100),
    "hit_rate": ("weeks up", "{:.0f} %", 100),
    "turnover": ("turnover a week", "{:.1f} %", 100),
    "costs": ("costs a year", "{:.2f} %", 100),
    "break_even_bps": ("break-even, bps", "{:.0f}", 1),
    "concentration": ("Herfindahl index", "{:.3f}", 1),
    "market_exposure": ("beta to the 15 stocks", "{:.2f}", 1),
}
"""Metric -> heading, format and scale; the Sharpe ratio comes before them, in its company."""


def about(reports: Reports) -> Section:
    """Say how the numbers came about and what they carry."""
    said = list(reports.values())
    bps = sorted({report["costs"]["cost_bps"] for report in said})
    costs = " or ".join(f"{value:g}" for value in bps)
    lines = [
        "The policy trained on data up to the end of one year decides the weeks of the next, year after year, and "
        "carries its holdings along. No policy is judged on a week that its training had seen.",
        f"Every trade costs {costs} basis points of the turnover, for policies and baselines alike.",
        *dict.fromkeys(f"Executed at the {report['execution']}." for report in said),
        *dict.fromkeys(f"Universe. {UNIVERSES.get(report['universe'], report['universe'])}" for report in said),
        *dict.fromkeys(str(report["purge"]["words"]) for report in said if "purge" in report),
        *dict.fromkeys(str(note) for report in said for note in report["notes"]),
    ]
    simulated = sorted({name for report in said for name in report.get("simulated", ())})
    if simulated:
        lines.append(f"Simulated, not observed: {', '.join(simulated)}.")
    lines.append("Past results say little about future ones. This is research output and not investment advice.")
    return Section("about", "What this is and is not", bullets(lines))


def results(reports: Reports, shown: Sequence[Row], verdicts: Verdicts, tries: Tries) -> Section:
    """Show who earned what, beside its interval, its tries, its baselines and its badge."""
    header = [
        "",
        "net Sharpe ratio",
        "less HRP's",
        "less equal weight's",
        "CAGR, 95 %",
        "max drawdown",
        "turnover a week",
    ]
    header += ["weeks up", "the gate; its champion"]
    body, classes, role = [], [], shown[0].role
    for row in shown:
        numbers, series = row.series["metrics"], reports[row.allocator]["walk_forward"]["series"]
        name = next(key for key, one in series.items() if one is row.series)
        classes.append("group" if row.role != role else "")
        role = row.role
        version = f"<br><small><code>{escape(row.series['version'])}</code></small>" if row.series["version"] else ""
        body.append(
            [
                f"<strong>{escape(row.label)}</strong>{version}",
                sharpe_of(name, series, tries).html(),
                *(
                    "" if row.role == "baseline" else difference(row.series["against"].get(b))
                    for b in PRINCIPAL_BASELINES[::-1]
                ),
                growth(row.series),
                percent(numbers["max_drawdown"]),
                percent(numbers["turnover"]),
                percent(numbers["hit_rate"], 0),
                _gate(row, verdicts, tries) if row.role == "candidate" else "",
            ]
        )
    weeks = sorted({row.series["metrics"]["weeks"] for row in shown})
    remark = (
        f"Over {' or '.join(map(str, weeks))} weeks, annualised with 52. The small figures are 95 % intervals "
        "(stationary bootstrap, paired for differences), the tries that the ledger has counted, and the baselines "
        "over the same weeks. Turnover is one-way: half the sum of all changes in weight, cash included. A reference "
        "row is the textbook recipe, trained once before the first week and left alone; nobody chose it by these "
        "results, so that it is not counted."
    )
    return Section("results", "Results", table(header, body, classes) + note(remark))


def _gate(row: Row, verdicts: Verdicts, tries: Tries) -> str:
    champion = champion_of(verdicts.get(row.allocator, ()))
    return f"{mark(row)}<br><small>its champion:</small><br>{seal(champion, tries)}" if champion else mark(row)


def mark(row: Row) -> str:
    """Return the gate's verdict on a row as a mark."""
    outcome = row.verdict["outcome"] if row.verdict else "waiting"
    return f'<span class="badge {escape(outcome)}">{escape(verdict_word(row))}</span>'


def every_metric(allocators: Sequence[str], summaries: Summaries, tries: Tries) -> Section:
    """Show all metrics over all judged years: what is served, what would be without shrinkage, and the baselines."""
    if not summaries:
        return Section("metrics", "Every metric, served and unshrunk", without_summary(allocators, summaries))
    shown = list(labelled(summaries))
    body = [_metrics_row(label, name, summary["series"], tries) for label, name, summary in shown]
    header = ["", "net Sharpe ratio", *(heading for heading, _, _ in METRICS.values())]
    remark = (
        "Over all judged years, net of costs, holdings carried from year to year. Worst weeks won: of the worst 5 % "
        "of equal weight's weeks, the share in which a series did better. CVaR: mean of its own worst 5 %. "
        "Break-even: the cost of a unit of turnover at which the CAGR is equal weight's; empty where there is none, "
        "and the section on costs says why. "
        "Herfindahl index: sum of squared weights, from 1/16. Unshrunk: the same policy with its whole tilt, which "
        "nobody is served."
    )
    place = table(header, body, groups([name for _, name, _ in shown])) + note(remark)
    return Section("metrics", "Every metric, served and unshrunk", place + without_summary(allocators, summaries))


def _metrics_row(label: str, name: str, series: Mapping[str, Any], tries: Tries) -> list[str]:
    numbers = series[name]["metrics"]
    cells = (
        growth(series[name]) if key == "cagr" else _cell(numbers.get(key), form, scale)
        for key, (_, form, scale) in METRICS.items()
    )
    return [label, sharpe_of(name, series, tries).html(), *cells]


def _cell(value: float | None, form: str, scale: float) -> str:
    return "" if value is None else form.format(scale * value)
