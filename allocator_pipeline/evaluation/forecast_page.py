"""The page of the forecast panel: one HTML file in the shell of the report, that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.evaluation import forecast_plots as plots
from allocator_pipeline.evaluation.forecast_panel import BASELINES, COMPARISONS
from allocator_pipeline.evaluation.page import chart, page, table
from allocator_pipeline.evaluation.report.estimates import difference
from allocator_pipeline.evaluation.summary import LABELS, compared_with, percent

NOTE = (
    "Each year of ours, and of LightGBM, is forecast by a model that had seen nothing later than its first decision; "
    "what a model from elsewhere had seen is not known here. A difference is zero if the forecasts are worth what "
    "their plain opponent is; an interval that holds zero shows nothing. Intervals redraw weeks in blocks of random "
    "length and speak about one comparison each. The quantiles do not depend on a forecaster's scores: those of ours "
    "and of LightGBM are one result, shown for each."
)


def forecast_page(summary: Mapping[str, Any], market: str, notes: Sequence[str] = ()) -> str:
    """Write the page.

    Parameters
    ----------
    summary : mapping
        As `forecast_summary.forecast_summary` returns it.
    market : str
        Name of the market, for the title.
    notes : sequence of str
        What its source says about its data, such as survivorship.

    Returns
    -------
    str
        A whole HTML document; equal summaries give equal text.
    """
    judged = summary["forecasters"]
    sections = [("words", "In words", _caveats(notes) + words_list(summary["words"]))]
    figures: dict[str, Any] = {}
    if judged:
        figures = {
            "correlations": plots.rank_correlations(judged),
            "losses": plots.differences(judged, plots.LOSSES, "relative difference; left of zero is better"),
            "coverage": plots.differences(
                judged, plots.COVERAGE, "share of returns not above the quantile, less its level"
            ),
            "growth": plots.growth(judged),
        }
        sections += [
            ("numbers", "Numbers", figures_table(judged) + _comparisons(judged) + f'<p class="note">{NOTE}</p>'),
            ("order", "Order: rank correlation by year", chart("correlations", "Rank correlation by year")),
            ("size", "Size: losses against plain opponents", chart("losses", "Relative losses with intervals")),
            ("calibration", "Calibration of the quantiles", chart("coverage", "Coverage less nominal, by quantile")),
            ("money", "The top 5 after costs", chart("growth", "Wealth of the top five stocks and the baselines")),
        ]
    return page("Forecast panel", f"Market: {market}. Out of sample, year by year.", sections, figures)


def _caveats(notes: Sequence[str]) -> str:
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def words_list(words: Sequence[Mapping[str, Any]]) -> str:
    """Return what the numbers say as an HTML list, a list of sentences for each forecaster."""
    return "".join(
        f"<p><strong>{escape(item['about'])}</strong></p><ul>"
        f"{''.join(f'<li>{escape(line)}</li>' for line in item['says'])}</ul>"
        for item in words
    )


def figures_table(judged: Mapping[str, Any]) -> str:
    """Return the figures of some judgements as an HTML table."""
    header = ["", "weeks", "forecasts", "missing", "rank IC", "error / zero's", "error / past mean's", "right signs"]
    header += ["always-up", "pinball / history's", "top 5: turnover a week"]
    header += [f"top 5: Sharpe ratio less {LABELS[baseline]}'s" for baseline in BASELINES]
    body = []
    for name, one in judged.items():
        told = one["figures"]
        body.append(
            [
                f"<strong>{escape(name)}</strong><br><small>{one['years'][0]} to {one['years'][1]}</small>"
                f'<small class="tries">one of {len(judged)} compared</small>',
                f"{one['weeks']}",
                f"{one['forecasts']}",
                f"{one['missing']}",
                _number(told["rank_ic"], "+.4f"),
                _number(told["mse_of_zero_ratio"], ".4f"),
                _number(told["mse_of_mean_ratio"], ".4f"),
                _number(told["hit_rate"], ".1%"),
                _number(told["always_up"], ".1%"),
                _number(told["pinball_ratio"], ".3f"),
                percent(one["portfolios"]["top"]["turnover"]),
                *(difference(one["comparisons"][f"sharpe_of_{baseline}"]) for baseline in BASELINES),
            ]
        )
    return table(header, body)


def _comparisons(judged: Mapping[str, Any]) -> str:
    body = []
    for name, comparison in COMPARISONS.items():
        cells = [escape(comparison.label)]
        for one in judged.values():
            item = one["comparisons"][name]
            cells.append(_difference(item, comparison.better))
        body.append(cells)
    return table(["difference [95 %]", *judged], body)


def _difference(item: Mapping[str, Any] | None, better: int) -> str:
    if item is None:
        return "n/a"
    text = f"{item['estimate']:+.4f}<br><small>{item['low']:+.4f} to {item['high']:+.4f}</small>"
    if compared_with(item) == "same":
        return text
    good = item["estimate"] * better > 0
    return f'<span class="badge {"promoted" if good else "kept"}">{text}</span>'


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else format(value, form)
