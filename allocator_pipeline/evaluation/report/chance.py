"""Whether chance explains it: tests of every pair, and tests that know how many were compared."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation import charts
from allocator_pipeline.evaluation.comparison_words import candidates_words, luck_words, of_which, tested
from allocator_pipeline.evaluation.page import table
from allocator_pipeline.evaluation.report.estimates import FIXED_RULE, Sharpe, Tries, difference, sharpe_charts
from allocator_pipeline.evaluation.report.results import mark
from allocator_pipeline.evaluation.report.section import (
    Comparison,
    Section,
    Summaries,
    absent,
    bullets,
    folded,
    longest,
    note,
)
from allocator_pipeline.evaluation.significance import narrow_words
from allocator_pipeline.evaluation.summary import LABELS, Reports, Row, findings, in_order, in_words, p_value, percent

Pair = Mapping[str, Any]

_VERDICTS = {
    "above": "above {}, more than chance explains",
    "below": "below {}, more than chance explains",
    "same": "not distinguishable from {}",
    "tie": "identical to {} in every week",
    "unknown": "too few weeks to compare with {}",
}


def significance(
    reports: Reports, shown: Sequence[Row], summaries: Summaries, comparison: Comparison | None, tries: Tries
) -> Section:
    """Show what can be told from chance, in words first."""
    figures = {"differences": charts.differences(shown)}
    if comparison is None:
        parts = [bullets(findings(reports)), _against(shown, tries), absent("evaluation_summary"), _differences(tries)]
    else:
        principal = [pair for pair in comparison["pairs"] if pair["baseline"] in PRINCIPAL_BASELINES]
        others = [pair for pair in comparison["pairs"] if pair["baseline"] not in PRINCIPAL_BASELINES]
        parts = [
            bullets([comparison["words"][0], *findings(reports, comparison), *_overfitting(comparison)]),
            _differences(tries),
            _pairs(principal, tries),
            folded("Against the other baselines", _pairs(others, tries)) if others else "",
            _duels(comparison["duels"]),
            "<h3>Allowing for how many were tried</h3>",
            _deflated(comparison, summaries),
            _superiority(comparison),
            _confidence_set(comparison),
            folded("Every comparison in words", f'<div class="words">{bullets(comparison["words"])}</div>'),
            note(
                "Deflated Sharpe ratio: the probability that the true one lies above the benchmark, which is the best "
                "to be expected of so many tries that earn nothing, spread like the members of the ensembles. Below "
                "95 % it is no evidence of earning anything; above, it is none of skill, for a rising market lifts "
                "equal weight as well, which has a row of its own. SPA: whether the best of all is better than "
                "a baseline, knowing how many were compared. Model confidence set: all that may be the best. These "
                "know of the allocators, and the first of the seeds of their ensembles too. The fixed reference recipe "
                "is in none of them and not among the tries."
            ),
        ]
    return Section("significance", "More than chance?", "".join(parts), figures)


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
                for name in PRINCIPAL_BASELINES
            ),
            _ruling(row) if row.role == "candidate" else "",
        ]
        for row in shown
        if row.role != "baseline"
    ]
    return table(["", *(f"against {LABELS[name]}" for name in PRINCIPAL_BASELINES), "the gate"], body, text=[1, 2, 3])


def _ruling(row: Row) -> str:
    return f'{mark(row)}. <span class="record">{escape(row.verdict["reason"])}</span>' if row.verdict else mark(row)


def _pairs(pairs: Sequence[Pair], tries: Tries) -> str:
    order = list(in_order({pair["baseline"]: None for pair in pairs}))
    ordered = sorted(pairs, key=lambda pair: order.index(pair["baseline"]))
    names = [str(LABELS.get(pair["baseline"], pair["baseline"])) for pair in ordered]
    classes = ["", *("group" if one != before else "" for before, one in itertools.pairwise(names))]
    body = [
        [
            f"<strong>{escape(pair['allocator'])}</strong>{tries.html()}",
            escape(name),
            difference(pair["bootstrap"]),
            _p(pair["bootstrap"]),
            _p(pair["ledoit_wolf"]),
            _above_luck(pair),
            escape(_VERDICTS[pair["verdict"]].format(name)),
        ]
        for pair, name in zip(ordered, names, strict=True)
    ]
    header = [
        "",
        "against",
        "Sharpe ratio less the baseline's",
        *_TESTS,
        "verdict",
    ]
    remark = (
        "Each line is a test of its own, two-sided. Bootstrap: paired stationary blocks of weeks. Ledoit-Wolf: the "
        "studentised bootstrap of 2008, which keeps its size with fewer weeks. Above luck: the probability that the "
        "true gain over the other is more than the luckiest of all tries would show if none were worth anything."
    )
    return table(header, body, classes, text=[1, 6]) + note(remark)


def _p(test: Mapping[str, Any] | None) -> str:
    return "<small>too few weeks</small>" if test is None else p_value(test.get("p_value"))


def _duels(duels: Sequence[Pair]) -> str:
    if not duels:
        return f"<h3>Challenger and champion</h3>{note('None has 26 common weeks yet.')}"
    differ = [duel for duel in duels if duel["verdict"] != "tie"]
    same = [duel for duel in duels if duel["verdict"] == "tie"]
    shown = _duel_table(differ) if differ else ""
    if same:
        shown += folded(f"{len(same)} more, identical in every week", _duel_table(same))
    words = narrow_words(min(duel["weeks"] for duel in duels))
    return f"<h3>Challenger and champion</h3>{shown}{note(words) if words else ''}"


def _duel_table(duels: Sequence[Pair]) -> str:
    body = [
        [
            f"<strong>{escape(duel['allocator'])}</strong>{Tries(duel['trials']).html()}",
            f"<code>{escape(duel['challenger'])}</code><br><small>against "
            f"<code>{escape(duel['champion'])}</code></small>",
            f"{duel['weeks']}",
            difference(duel["bootstrap"]),
            _p(duel["bootstrap"]),
            _p(duel["ledoit_wolf"]),
            _above_luck(duel),
            escape(_VERDICTS[duel["verdict"]].format("the champion")),
        ]
        for duel in duels
    ]
    header = [
        "",
        "challenger",
        "weeks",
        "Sharpe ratio less the champion's",
        *_TESTS,
        "verdict",
    ]
    return table(header, body, text=[1, 7])


_TESTS = ("p, bootstrap", "p, Ledoit-Wolf", "above luck")


def _above_luck(row: Pair) -> str:
    gain = row["deflated"]
    return "" if gain is None else f"{100 * gain['probability']:.0f} %"


def _deflated(comparison: Comparison, summaries: Summaries) -> str:
    body = []
    baselines = {pair["baseline"]: pair["baseline_sharpe"] for pair in comparison["pairs"]}
    for name, item in in_order(comparison["deflated"] or {}).items():
        beside = {rule: baselines[rule] for rule in PRINCIPAL_BASELINES if rule in baselines and rule != name}
        interval = _interval(name, summaries)
        tries = FIXED_RULE if name in baselines else Tries(item["trials"])
        body.append(
            [
                f"<strong>{escape(LABELS.get(name, name))}</strong>",
                Sharpe(item["sharpe"], interval, tries, beside).html(),
                f"{item['benchmark']:.2f}",
                percent(item["probability"]),
            ]
        )
    header = ["", "net Sharpe ratio", "benchmark: best of as many tries that earn nothing", "deflated Sharpe ratio"]
    return table(header, body) if body else note("Too few weeks to deflate a Sharpe ratio.")


def _interval(name: str, summaries: Summaries) -> Mapping[str, Any] | None:
    """Return the interval of a policy, or of a baseline, which the longest summary holds."""
    series = summaries[name]["series"] if name in summaries else longest(summaries)["series"] if summaries else {}
    return series.get("policy" if name in summaries else name, {}).get("interval")


def _overfitting(comparison: Comparison) -> list[str]:
    found = comparison["overfitting"]
    if not found:
        return []
    return [
        f"Probability of backtest overfitting {percent(found['probability'], 0)}: so often the recipe and seed that do "
        f"best in one half of the weeks are at or below the median of all {candidates_words(found)} in the other; "
        f"{luck_words(found)}."
    ]


def _superiority(comparison: Comparison) -> str:
    body = [
        [
            f"<strong>better than {escape(LABELS.get(baseline, baseline))}?</strong>",
            escape(_best(test)),
            f"{test['compared']}{of_which(test)}",
            p_value(test["p_value"]),
            f"{p_value(test['lower'])} to {p_value(test['upper'])}",
        ]
        for baseline, test in in_order(comparison["superiority"]).items()
    ]
    return table(["SPA test", "best", "of", "p", "bounds of p"], body, text=[1]) if body else ""


def _best(test: Mapping[str, Any]) -> str:
    if not tested(test):
        return "all are identical to it"
    return "a tie: none is above it" if test["best"] in test["ties"] else str(test["best"])


def _confidence_set(comparison: Comparison) -> str:
    found = comparison["confidence_set"]
    if not found:
        return ""
    body = [
        [
            f"<strong>{escape(LABELS.get(name, name))}</strong>",
            p_value(value),
            "may be the best" if name in found["included"] else "is not the best",
        ]
        for name, value in sorted(in_order(found["p_values"]).items(), key=lambda item: -item[1])
    ]
    heading = f"Model confidence set at {percent(1 - found['size'], 0)}: {len(found['included'])} of {len(body)}"
    return folded(heading, table(["", "p", ""], body, text=[2]))
