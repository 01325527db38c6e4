"""The HTML report: every allocator's latest report beside the baselines, in one file that needs no network.

Whatever it shows of a best number stands beside its interval and its baselines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from allocator_pipeline.config import CASH
from allocator_pipeline.evaluation import charts
from allocator_pipeline.evaluation.forecast_page import figures_table, words_list
from allocator_pipeline.evaluation.forecast_plots import rank_correlations
from allocator_pipeline.evaluation.page import chart, page, table
from allocator_pipeline.evaluation.summary import (
    OUTCOMES,
    Reports,
    Row,
    Verdicts,
    findings,
    format_table,
    in_words,
    percent,
    plus,
    rows,
    summary_table,
    verdict_word,
)

__all__ = ["format_table", "html_report", "summary_table"]

Decisions = Mapping[str, Mapping[str, Any]]

UNIVERSES = {
    "point_in_time": "Point in time: the 15 most liquid stocks, chosen anew each year from earlier prices.",
    "fixed": "Fixed: one list for all years, chosen by liquidity at the end of the data. Its stocks are known to have "
    "done well enough to be there, so that every level of return below is flattered.",
}


def html_report(reports: Reports, verdicts: Verdicts, forecasts: Mapping[str, Any] | None, decisions: Decisions) -> str:
    """Write the report.

    Parameters
    ----------
    reports : mapping of str to dict
        Allocator -> its latest report (`walk_forward.eval_report`).
    verdicts : mapping of str to sequence of dict
        Allocator -> its verdicts, oldest first (the fields of `registry.verdicts.Verdict`).
    forecasts : mapping or None
        The forecast panel over years (`forecast_summary.forecast_summary`), if there is one.
    decisions : mapping of str to dict
        Allocator -> its last decision: ``week``, ``version``, ``target`` (symbol -> weight) and ``turnover``, or empty.

    Returns
    -------
    str
        A whole HTML document; equal inputs give equal text.

    Raises
    ------
    NotEnoughDataError
        If there is no report.
    """
    shown = rows(reports, verdicts)
    policies = [row for row in shown if row.role == "candidate"]
    first, last = min(r["first_week"] for r in reports.values()), max(r["last_exit"] for r in reports.values())
    markets = ", ".join(sorted({str(report["market"]) for report in reports.values()}))
    colours = charts.symbol_colours(policies)
    figures = {
        "growth": charts.growth(shown, {name: report["last_exit"] for name, report in reports.items()}),
        "differences": charts.differences(shown),
        **{f"weights-{row.allocator}": charts.weights(row, colours) for row in policies},
    }
    if forecasts is not None and forecasts["forecasters"]:
        figures["forecasts"] = rank_correlations(forecasts["forecasters"])
    sections = [
        ("about", "What this is and is not", _about(reports)),
        ("results", "Results", _results(shown)),
        ("significance", "More than chance?", _significance(reports, shown)),
        ("growth-and-drawdown", "Growth and drawdown", _growth()),
        ("weights", "Weights over time", _weights(policies, colours)),
        ("forecasts-panel", "Forecasts", _forecasts(forecasts)),
        ("decision", "Last target weights", _decisions(decisions)),
        ("verdicts", "Verdicts", _verdicts(verdicts)),
    ]
    lede = f"Market: {markets}. Weeks executed {first} to {last}, out of sample and net of costs."
    return page("Weekly allocator: evaluation report", lede, sections, figures)


def _about(reports: Reports) -> str:
    said = list(reports.values())
    bps = sorted({report["costs"]["cost_bps"] for report in said})
    costs = " or ".join(f"{value:g}" for value in bps)
    lines = [
        "The policy trained on data up to the end of one year decides the weeks of the next, year after year, and "
        "carries its holdings along. No policy is judged on a week that its training had seen.",
        f"Every trade costs {costs} basis points of the turnover, for policies and baselines alike.",
        *dict.fromkeys(f"Executed at the {report['execution']}." for report in said),
        *dict.fromkeys(f"Universe. {UNIVERSES.get(report['universe'], report['universe'])}" for report in said),
        *dict.fromkeys(str(note) for report in said for note in report["notes"]),
    ]
    simulated = sorted({name for report in said for name in report.get("simulated", ())})
    if simulated:
        lines.append(f"Simulated, not observed: {', '.join(simulated)}.")
    lines.append("Past results say little about future ones. This is research output and not investment advice.")
    return _list(lines)


def _results(shown: Sequence[Row]) -> str:
    header = ["", "net Sharpe ratio", "less HRP's", "less equal weight's", "CAGR", "max drawdown", "turnover a week"]
    header += ["weeks up", "verdict of the gate"]
    body, classes, role = [], [], shown[0].role
    for row in shown:
        numbers, interval = row.series["metrics"], row.series["interval"]
        classes.append("group" if row.role != role else "")
        role = row.role
        version = f"<br><small><code>{escape(row.series['version'])}</code></small>" if row.series["version"] else ""
        between = f"{interval['low']:.2f} to {interval['high']:.2f}" if interval else "too few weeks"
        body.append(
            [
                f"<strong>{escape(row.label)}</strong>{version}",
                f"{numbers['sharpe']:.2f}<br><small>{between}</small>",
                _difference(row, "hrp"),
                _difference(row, "equal_weight"),
                percent(numbers["cagr"]),
                percent(numbers["max_drawdown"]),
                percent(numbers["turnover"]),
                percent(numbers["hit_rate"], 0),
                _badge(row) if row.role == "candidate" else "",
            ]
        )
    weeks = sorted({row.series["metrics"]["weeks"] for row in shown})
    note = (
        f"Over {' or '.join(map(str, weeks))} weeks, annualised with 52. The small figures are 95 % intervals "
        "(stationary bootstrap, paired for differences). Turnover is one-way: half the sum of all changes in weight, "
        "cash included. A reference row is the textbook recipe, trained once before the first week and left alone."
    )
    return table(header, body, classes) + f'<p class="note">{note}</p>'


def _difference(row: Row, baseline: str) -> str:
    if row.role == "baseline":
        return ""
    item = row.series["against"].get(baseline)
    if item is None:
        return "<small>too few weeks</small>"
    return f"{plus(item['estimate'])}<br><small>{plus(item['low'])} to {plus(item['high'])}</small>"


def _badge(row: Row) -> str:
    outcome = row.verdict["outcome"] if row.verdict else "waiting"
    return f'<span class="badge {escape(outcome)}">{escape(verdict_word(row))}</span>'


def _significance(reports: Reports, shown: Sequence[Row]) -> str:
    body = [
        [
            f"<strong>{escape(row.label)}</strong>",
            *(
                escape(in_words(row.series["against"][name], name)) if name in row.series["against"] else ""
                for name in ("equal_weight", "hrp")
            ),
            f"{_badge(row)}. {escape(row.verdict['reason']) if row.verdict else ''}" if row.role == "candidate" else "",
        ]
        for row in shown
        if row.role != "baseline"
    ]
    return (
        _list(findings(reports))
        + chart("differences", "Sharpe differences to the baselines with 95 % intervals")
        + table(["", "against equal weight", "against HRP", "the gate"], body, text=[1, 2, 3])
    )


def _growth() -> str:
    note = "Wealth on a log scale, then the loss since the last high. Click a name to hide it, drag to zoom."
    return chart("growth", "Wealth and drawdown of every allocator and baseline") + f'<p class="note">{note}</p>'


def _weights(policies: Sequence[Row], colours: Mapping[str, str]) -> str:
    places = "".join(chart(f"weights-{row.allocator}", f"Target weights of {row.label}") for row in policies)
    key = "".join(f'<li><i style="background:{colour}"></i>{escape(name)}</li>' for name, colour in colours.items())
    return f'<div class="pair">{places}</div>\n<ul class="key">{key}</ul>'


def _forecasts(summary: Mapping[str, Any] | None) -> str:
    if summary is None or not summary["forecasters"]:
        return '<p class="note">No forecasts have been judged yet.</p>'
    more = '<p class="note">More pictures, and every comparison: forecasts.html beside this file.</p>'
    return (
        words_list(summary["words"])
        + figures_table(summary["forecasters"])
        + chart("forecasts", "Rank correlation by year")
        + more
    )


def _decisions(decisions: Decisions) -> str:
    if not decisions:
        return '<p class="note">Nothing has been decided yet.</p>'
    held = {symbol for item in decisions.values() for symbol in item["target"]} - {CASH}
    mean = {symbol: np.mean([item["target"].get(symbol, 0.0) for item in decisions.values()]) for symbol in held}
    order = [*sorted(held, key=lambda symbol: (-mean[symbol], symbol)), CASH]
    body = [
        [f"<strong>{escape(symbol)}</strong>", *(_bar(item["target"].get(symbol, 0.0)) for item in decisions.values())]
        for symbol in order
    ]
    body.append(["turnover", *(percent(item["turnover"]) for item in decisions.values())])
    body.append(
        ["by policy", *(f"<small><code>{escape(item['version'])}</code></small>" for item in decisions.values())]
    )
    weeks = " and ".join(sorted({str(item["week"]) for item in decisions.values()}))
    classes = ["" for _ in order] + ["group", ""]
    return f"<p>Week of {escape(weeks)}.</p>" + table(["", *decisions], body, classes)


def _bar(weight: float) -> str:
    width = min(100.0, 100 * weight / 0.25)  # a full cell is 25 %: a little more than one position may take
    return f'<td class="bar" style="--w:{width:.1f}%">{percent(weight)}</td>'


def _verdicts(verdicts: Verdicts) -> str:
    parts = []
    for allocator, history in verdicts.items():
        if not history:
            continue
        body = [_verdict(item) for item in reversed(history)]
        promoted = sum(item["outcome"] == "promoted" for item in history)
        latest = max(history, key=lambda item: (item["effective_week"], item["number"]))
        heading = f"{allocator}: {len(history)} verdicts, {promoted} promoted, champion now {latest['champion']}"
        header = ["no.", "effective", "judged", "candidate", "outcome", "champion after", "reason"]
        parts.append(f"<details open><summary>{escape(heading)}</summary>{table(header, body, text=[6])}</details>")
    note = (
        "The newest first. A verdict takes effect at a week and is never changed afterwards; each carries the hash of "
        "the one before it and of what was judged. Champion now means after the latest verdict."
    )
    return f'<p class="note">{note}</p>' + ("".join(parts) or '<p class="note">Nothing has been judged yet.</p>')


def _verdict(item: Mapping[str, Any]) -> list[str]:
    outcome = str(item["outcome"])
    evidence = json.dumps(item.get("evidence", {}), indent=1, sort_keys=True)
    seals = f"judged {item['source_sha256']}\nbefore {item['previous_sha256']}"
    return [
        str(item["number"]),
        escape(item["effective_week"]),
        escape(item["source"]),
        f"<code>{escape(item['candidate'])}</code>",
        f'<span class="badge {escape(outcome)}">{escape(OUTCOMES.get(outcome, outcome))}</span>',
        f"<code>{escape(item['champion'])}</code>",
        f"{escape(item['reason'])}<details><summary>evidence</summary><pre>{escape(evidence)}\n{escape(seals)}</pre></details>",
    ]


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
