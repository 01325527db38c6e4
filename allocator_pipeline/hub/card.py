"""The model card of a version: what it is, how it did out of sample, what it is for and what it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allocator_pipeline.config import PRINCIPAL_BASELINES, algorithm_of, forecaster_of
from allocator_pipeline.evaluation.report.estimates import Tries, growth_text
from allocator_pipeline.registry.record import badge_words

METRICS = {
    "sharpe": "net Sharpe ratio",
    "cagr": "CAGR",
    "max_drawdown": "max drawdown",
    "turnover": "turnover a week",
    "hit_rate": "weeks up",
}
PERCENT = ("max_drawdown", "turnover", "hit_rate")
SERIES = {"policy": "this policy", "hrp": "HRP", "equal_weight": "equal weight"}

HEADER = """---
library_name: allocator_pipeline
pipeline_tag: reinforcement-learning
tags:
- reinforcement-learning
- portfolio-allocation
- finance
- safetensors
---
"""

USE = """## Intended use

Research on weekly portfolio policies: it maps a state of 136 numbers to the weights of 15 stocks and cash, long only,
at most 20 % a stock and at least 2 % cash. It is read by `allocator_pipeline`, which verifies every file by its sha256
and executes none of them (safetensors and JSON only). It sends no orders, and it is **not investment advice**.
"""

LIMITS = """## Limits

- Past results say little about future ones. Read the intervals before the numbers: a Sharpe ratio over a few hundred
  weeks is uncertain by several tenths either way.
- A promotion is a necessary condition, no proof; only the badge `proven` allows for all the tries there have been.
- It knows the symbols and slots named in its manifest. A state that another pipeline made (other signals, another
  scaling, other prices) is outside what it was trained on.
- Figures are net of proportional costs only: no market impact, taxes or interest on cash.
"""


def model_card(
    manifest: Mapping[str, Any], report: Mapping[str, Any] | None, verdicts: Sequence[Mapping[str, Any]]
) -> str:
    """Write the card of a version; equal inputs give equal text.

    Parameters
    ----------
    manifest : mapping
        Of the stored version.
    report : mapping or None
        The evaluation report whose candidate it is (`evaluation.walk_forward.eval_report`), if it was judged on one.
    verdicts : sequence of mapping
        The verdicts on it, oldest first (fields of `registry.verdicts.Verdict`).

    Returns
    -------
    str
        Markdown with the Hub's metadata in front.
    """
    parts = [
        HEADER + f"# {manifest['name']} {manifest['version']}\n",
        _origin(manifest),
        _results(report, verdicts),
        _verdicts(verdicts),
        USE,
        LIMITS + _stated(report),
    ]
    return "\n".join(part for part in parts if part)


def _origin(manifest: Mapping[str, Any]) -> str:
    facts, name = manifest["facts"], manifest["name"]
    rows = {
        "Algorithm, forecaster": f"{algorithm_of(name)}, {forecaster_of(name)}",
        "Recipe": facts.get("recipe", "not stated"),
        "Fine-tuned from": manifest["parent"] or "nothing: trained in full",
        "Data window": f"weeks {facts['first_week']} to {facts['last_week']} ({facts.get('weeks', '?')} weeks)"
        if "first_week" in facts and "last_week" in facts
        else "not stated",
        "Data cut-off": f"{manifest['cutoff']} (last exit price that training read)",
        "sha256 of the data": f"`{manifest['data_sha256']}`",
        "Identity": f"`{manifest['identity_sha256']}`",
    }
    return _table(["", ""], [[label, str(value)] for label, value in rows.items()])


def _results(report: Mapping[str, Any] | None, verdicts: Sequence[Mapping[str, Any]]) -> str:
    if report is None:
        return (
            "## Results\n\nNo evaluation report judges this version yet: nothing is known of it out of sample. What it "
            "earned on the weeks it was trained on is no measure and is not shown.\n"
        )
    own = _section(report["year_only"], "This version, out of sample", report)
    recipe = _section(report["walk_forward"], "Its recipe, year after year by the policy of the year before", report)
    return f"## Results\n\n{own}\n{recipe}\nBrackets hold 95 % intervals. {_tries(verdicts).capitalize()}.\n"


def _tries(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return how many tries there were when the version was judged last."""
    counted = [badge["try"] for item in verdicts if (badge := item["evidence"].get("badge")) and badge.get("try")]
    return Tries(max(counted, default=0)).words()


def _section(section: Mapping[str, Any], title: str, report: Mapping[str, Any]) -> str:
    rows = []
    for name in ("policy", *PRINCIPAL_BASELINES):
        series = section["series"].get(name)
        if series is not None:
            rows.append([SERIES[name], *(_figure(series, metric) for metric in METRICS)])
    years = section["years"]
    span = str(years[0]) if len(years) == 1 else f"{years[0]} to {years[-1]}"
    costs = f"net of {report['costs']['cost_bps']:g} basis points of turnover"
    note = f"{title}: {span}, market {_plain(report['market'])}, {costs}."
    return f"{note}\n\n{_table(['', *METRICS.values()], rows)}"


def _figure(series: Mapping[str, Any], metric: str) -> str:
    value = series["metrics"][metric]
    if metric == "cagr":
        return growth_text(series)
    if metric in PERCENT:
        return f"{100 * value:.1f} %"
    interval = series.get("interval")
    between = f" [{interval['low']:.2f}, {interval['high']:.2f}]" if metric == "sharpe" and interval else ""
    return f"{value:.2f}{between}"


def _verdicts(verdicts: Sequence[Mapping[str, Any]]) -> str:
    if not verdicts:
        return "## Gate\n\nNot judged yet. Badge: none.\n"
    rows = [
        [str(item["effective_week"]), str(item["outcome"]), _badge(item), _plain(item["reason"])] for item in verdicts
    ]
    return f"## Gate\n\n{_table(['effective', 'outcome', 'badge', 'reason'], rows)}"


def _badge(verdict: Mapping[str, Any]) -> str:
    return badge_words(verdict["evidence"].get("badge"))


def _stated(report: Mapping[str, Any] | None) -> str:
    """Repeat what the report says about its data: survivorship, simulated inputs."""
    if report is None:
        return ""
    simulated = [f"Simulated, not observed: {', '.join(report['simulated'])}."] if report.get("simulated") else []
    return "".join(f"- {_plain(note)}\n" for note in [*report["notes"], *simulated])


def _plain(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
