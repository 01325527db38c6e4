"""Whether chance explains it: tests of every pair, and tests that know how many were compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.evaluation import charts
from allocator_pipeline.evaluation.page import table
from allocator_pipeline.evaluation.report.estimates import BESIDE, Sharpe, Tries, difference, sharpe_charts
from allocator_pipeline.evaluation.report.results import mark
from allocator_pipeline.evaluation.report.section import (
    Comparison,
    Section,
    Summaries,
    absent,
    bullets,
    folded,
    note,
)
from allocator_pipeline.evaluation.summary import LABELS, Reports, Row, findings, in_words, p_value, percent

Pair = Mapping[str, Any]


def significance(
    reports: Reports, shown: Sequence[Row], summaries: Summaries, comparison: Comparison | None, tries: Tries
) -> Section:
    """Show what can be told from chance, in words first."""
    parts = [bullets(findings(reports))]
    if comparison is None:
        parts += [_against(shown, tries), absent("evaluation_summary"), _differences(tries)]
    else:
        parts += [
            bullets([str(line) for line in comparison["words"]]),
            f"<p>{len(comparison['allocators'])} allocators over their {comparison['weeks']} common weeks, "
            f"{escape(comparison['first_week'])} to {escape(comparison['last_week'])}; "
            f"{_counted(comparison, tries)}</p>",
            _differences(tries),
            _pairs([pair for pair in comparison["pairs"] if pair["baseline"] in BESIDE], tries),
            folded(
                "Against the other baselines",
                _pairs([pair for pair in comparison["pairs"] if pair["baseline"] not in BESIDE], tries),
            ),
            _duels(comparison["duels"], tries),
            "<h3>Allowing for how many were tried</h3>",
            _deflated(comparison, summaries, tries),
            _of_many(comparison),
        ]
    return Section("significance", "More than chance?", "".join(parts), {"differences": charts.differences(shown)})


def _counted(comparison: Comparison, tries: Tries) -> str:
    if not tries.count:
        return "no try has been counted yet."
    each = ", ".join(f"{escape(name)} {count}" for name, count in comparison["tries"]["by_allocator"].items())
    return f"{tries.count} {'try' if tries.count == 1 else 'tries'} counted so far{f' ({each})' if each else ''}."


def _differences(tries: Tries) -> str:
    return sharpe_charts(
        {"differences": "Sharpe differences to the baselines with 95 % intervals"},
        interval="The bar is the 95 % interval: one that holds zero shows no difference.",
        tries=tries,
        text="Each policy's Sharpe ratio less the baseline's.",
    )


def _against(shown: Sequence[Row], tries: Tries) -> str:
    body = [
        [
            f"<strong>{escape(row.label)}</strong>{tries.html()}",
            *(
                escape(in_words(row.series["against"][name], name)) if name in row.series["against"] else ""
                for name in BESIDE
            ),
            _ruling(row) if row.role == "candidate" else "",
        ]
        for row in shown
        if row.role != "baseline"
    ]
    return table(["", *(f"against {LABELS[name]}" for name in BESIDE), "the gate"], body, text=[1, 2, 3])


def _ruling(row: Row) -> str:
    reason = f'<span class="record">{escape(row.verdict["reason"])}</span>' if row.verdict else ""
    return f"{mark(row)}. {reason}"


def _pairs(pairs: Sequence[Pair], tries: Tries) -> str:
    body, classes, last = [], [], ""
    for pair in sorted(
        pairs, key=lambda item: list(LABELS).index(item["baseline"]) if item["baseline"] in LABELS else 99
    ):
        classes.append("group" if last and pair["baseline"] != last else "")
        last = pair["baseline"]
        body.append(
            [
                f"<strong>{escape(pair['allocator'])}</strong>{tries.html()}",
                f"{escape(LABELS.get(last, last))}",
                difference(pair["bootstrap"]),
                _p(pair["bootstrap"]),
                _p(pair["ledoit_wolf"]),
                escape(pair["verdict"]),
            ]
        )
    header = ["", "against", "Sharpe ratio less the baseline's", "p, bootstrap", "p, Ledoit-Wolf", "verdict"]
    remark = (
        "Each line is a test of its own, two-sided. Bootstrap: paired stationary blocks of weeks. Ledoit-Wolf: the "
        "studentised bootstrap of 2008, which keeps its size with fewer weeks."
    )
    return table(header, body, classes, text=[1, 5]) + note(remark)


def _p(test: Mapping[str, Any] | None) -> str:
    return "<small>too few weeks</small>" if test is None else p_value(test.get("p_value"))


def _duels(duels: Sequence[Pair], tries: Tries) -> str:
    body = [
        [
            f"<strong>{escape(duel['allocator'])}</strong>{tries.html()}",
            f"<code>{escape(duel['challenger'])}</code><br><small>against "
            f"<code>{escape(duel['champion'])}</code></small>",
            f"{duel['weeks']}",
            difference(duel["bootstrap"]),
            _p(duel["bootstrap"]),
            _p(duel["ledoit_wolf"]),
            escape(duel["verdict"]),
        ]
        for duel in duels
    ]
    header = [
        "",
        "challenger",
        "weeks",
        "Sharpe ratio less the champion's",
        "p, bootstrap",
        "p, Ledoit-Wolf",
        "verdict",
    ]
    shown = table(header, body, text=[1, 6]) if body else note("None has 26 common weeks yet.")
    return f"<h3>Challenger and champion</h3>{shown}"


def _deflated(comparison: Comparison, summaries: Summaries, tries: Tries) -> str:
    body = []
    for allocator, item in comparison["deflated"].items():
        series = summaries.get(allocator, {}).get("series", {})
        beside = {
            pair["baseline"]: pair["baseline_sharpe"]
            for pair in comparison["pairs"]
            if pair["allocator"] == allocator and pair["baseline"] in BESIDE
        }
        interval = series["policy"]["interval"] if series else None
        body.append(
            [
                f"<strong>{escape(allocator)}</strong>",
                Sharpe(item["sharpe"], interval, Tries(item["trials"]), beside).html() if beside else "",
                f"{item['threshold']:.2f}",
                percent(item["probability"]),
            ]
        )
    header = [
        "",
        "net Sharpe ratio",
        "what the luckiest of as many worthless tries would show",
        "deflated Sharpe ratio",
    ]
    remark = (
        "The deflated Sharpe ratio is the probability that the true Sharpe ratio lies above what the best of so many "
        "worthless tries would show by luck. Below 95 % it is no evidence."
    )
    return (table(header, body) if body else "") + note(remark)


def _of_many(comparison: Comparison) -> str:
    """Overfitting, superior predictive ability and the confidence set, each with what it asks."""
    lines = []
    overfit = comparison["overfitting"]
    if overfit:
        lines.append(
            f"Probability of backtest overfitting: {percent(overfit['probability'], 0)}. So often the recipe and seed "
            f"that are best in one half of the weeks are below the median in the other ({overfit['splits']:,} splits "
            f"of {overfit['recipes']} recipes). About half is what picking by luck gives."
        )
    for baseline, test in comparison["superiority"].items():
        found = f"the best is {test['best']}" if test["best"] else "all equal it"
        lines.append(
            f"Is the best of {test['compared']} better than {LABELS.get(baseline, baseline)}? SPA test: p "
            f"{p_value(test['p_value'])} ({found}); bounds {p_value(test['lower'])} to {p_value(test['upper'])}."
        )
    members = comparison["confidence_set"]
    if members:
        names = ", ".join(LABELS.get(name, name) for name in members["included"])
        lines.append(
            f"May all have the greatest Sharpe ratio ({percent(1 - members['size'], 0)} model confidence set, "
            f"{len(members['included'])} of {len(members['p_values'])}): {names}."
        )
    return bullets(lines)
