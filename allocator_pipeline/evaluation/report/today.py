"""What there is to use today: forecasts and what they were worth, and the last target weights."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from allocator_pipeline.config import CASH
from allocator_pipeline.evaluation.forecast_page import figures_table, words_list
from allocator_pipeline.evaluation.forecast_plots import rank_correlations
from allocator_pipeline.evaluation.forecast_words import TOGETHER
from allocator_pipeline.evaluation.page import chart, table
from allocator_pipeline.evaluation.report.court import champion_of, seal
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.report.section import Section, folded, note
from allocator_pipeline.evaluation.summary import Verdicts, percent

Decisions = Mapping[str, Mapping[str, Any]]
"""Allocator -> ``week``, ``version``, ``target`` (symbol -> weight) and ``turnover``."""


def forecasts(summary: Mapping[str, Any] | None) -> Section:
    """Show what the forecasts were worth, in short."""
    if summary is None or not summary["forecasters"]:
        return Section("forecasts-panel", "Forecasts", note("No forecasts have been judged yet."))
    together = [item for item in summary["words"] if item["about"] == TOGETHER]
    each = [item for item in summary["words"] if item["about"] != TOGETHER]
    body = (
        words_list(together)
        + folded("Each in words", words_list(each))
        + figures_table(summary["forecasters"])
        + chart("forecasts", "Rank correlation by year")
        + note("More pictures, and every comparison: forecasts.html beside this file.")
    )
    return Section("forecasts-panel", "Forecasts", body, {"forecasts": rank_correlations(summary["forecasters"])})


def last_weights(decisions: Decisions, verdicts: Verdicts, tries: Tries) -> Section:
    """Show the last decision of every allocator side by side."""
    if not decisions:
        return Section("decision", "Last target weights", note("Nothing has been decided yet."))
    body = weight_rows({name: item["target"] for name, item in decisions.items()})
    stocks = len(body)
    body.append(["turnover", *(percent(item["turnover"]) for item in decisions.values())])
    body.append(
        ["by policy", *(f"<small><code>{escape(item['version'])}</code></small>" for item in decisions.values())]
    )
    now = {name: champion_of(verdicts.get(name, ())) for name in decisions}
    body.append(
        [
            "its evidence",
            *(
                seal(champion, tries) if (champion := now[name]) and champion.version == item["version"] else ""
                for name, item in decisions.items()
            ),
        ]
    )
    weeks = " and ".join(sorted({str(item["week"]) for item in decisions.values()}))
    classes = [""] * stocks + ["group", "", ""]
    shown = f"<p>Week of {escape(weeks)}.</p>" + table(["", *decisions], body, classes)
    return Section("decision", "Last target weights", shown)


def weight_rows(targets: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """Return the rows of a table of weights, a column for each name: the greatest on average first, CASH last.

    Parameters
    ----------
    targets : mapping of str to mapping
        Name -> weight by symbol and CASH.
    """
    held = {symbol for target in targets.values() for symbol in target} - {CASH}
    mean = {symbol: np.mean([target.get(symbol, 0.0) for target in targets.values()]) for symbol in held}
    order = [*sorted(held, key=lambda symbol: (-mean[symbol], symbol)), CASH]
    return [
        [f"<strong>{escape(symbol)}</strong>", *(_bar(target.get(symbol, 0.0)) for target in targets.values())]
        for symbol in order
    ]


def _bar(weight: float) -> str:
    width = min(100.0, 100 * weight / 0.25)  # a full cell is 25 %: a little more than one position may take
    return f'<td class="bar" style="--w:{width:.1f}%">{percent(weight)}</td>'
