"""The HTML report: every allocator beside the baselines, in one file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.evaluation import charts
from allocator_pipeline.evaluation.page import chart, page
from allocator_pipeline.evaluation.report import chance, conduct, court, luck, results, today, years
from allocator_pipeline.evaluation.report.data_quality import data_quality
from allocator_pipeline.evaluation.report.section import Comparison, Section, Summaries, note
from allocator_pipeline.evaluation.summary import Reports, Verdicts, rows


def html_report(
    reports: Reports,
    verdicts: Verdicts,
    forecasts: Mapping[str, Any] | None,
    decisions: today.Decisions,
    summaries: Summaries,
    comparison: Comparison | None,
    quality: Mapping[str, Any] | None = None,
) -> str:
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
    summaries : mapping of str to dict
        Allocator -> its summary over all judged years, as far as they are made; the page names the others.
    comparison : mapping or None
        The comparison of all allocators, if it is made.
    quality : mapping or None
        How far the market's data can be trusted (`data_quality.data_quality`).

    Returns
    -------
    str
        A whole HTML document; equal inputs give equal text.

    Raises
    ------
    NotEnoughDataError
        If there is no report, or one without a baseline.
    """
    shown = rows(reports, verdicts)
    policies = [row for row in shown if row.role == "candidate"]
    first, last = min(r["first_week"] for r in reports.values()), max(r["last_exit"] for r in reports.values())
    markets = ", ".join(sorted({str(report["market"]) for report in reports.values()}))
    tries, names = court.tries_so_far(comparison, verdicts), list(reports)
    sections = [
        results.about(reports),
        results.results(reports, shown, verdicts, tries),
        court.champions(verdicts, tries),
        chance.significance(reports, shown, summaries, comparison, tries),
        Section(
            "growth-and-drawdown",
            "Growth and drawdown",
            chart("growth", "Wealth and drawdown of every allocator and baseline")
            + note(
                "Wealth on a log scale, then the loss since the last high. Without bands, which are drawn one "
                "allocator at a time below, under Other seeds. Click a name to hide it, drag to zoom."
            ),
            {"growth": charts.growth(shown, {name: report["last_exit"] for name, report in reports.items()})},
        ),
        luck.seeds(names, summaries, tries),
        years.rolling(names, summaries, tries),
        years.by_year(names, summaries, tries),
        results.every_metric(names, summaries, tries),
        conduct.weights(policies),
        conduct.trading(names, summaries, tries),
        conduct.response(names, summaries),
        luck.placebo(names, summaries, tries),
        today.forecasts(forecasts),
        today.last_weights(decisions, verdicts, tries),
        court.record(verdicts, tries),
        data_quality(quality),
    ]
    lede = f"Market: {markets}. Weeks executed {first} to {last}, out of sample and net of costs."
    return page(
        "Weekly allocator: evaluation report",
        lede,
        [(section.key, section.heading, section.body) for section in sections],
        {key: figure for section in sections for key, figure in section.figures.items()},
    )
