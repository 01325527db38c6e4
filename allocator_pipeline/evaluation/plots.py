"""Small tables and pictures in markdown, for the metadata of assets in the Dagster UI.

A picture is an SVG drawn here and carried inside the markdown as a data URI: nothing to install, nothing to load.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.metrics import drawdowns, wealth
from allocator_pipeline.evaluation.report.estimates import Tries, growth_text, sharpe_of
from allocator_pipeline.evaluation.significance import narrow_words
from allocator_pipeline.evaluation.summary import LABELS, percent, signed, with_interval
from allocator_pipeline.evaluation.svg import COLOURS, FAINT, INK, PAPER, WIDTH, element, image, text

HEIGHT, MARGIN = 240, 46
POINTS = 160
"""A line keeps this many points at most, so that the event log stays small."""


def markdown_table(table: pd.DataFrame, decimals: int = 3) -> str:
    """Return a table as markdown: floats with a fixed number of decimals, days without an hour, pipes escaped."""
    header = [_cell(name, decimals) for name in table.columns]
    body = [[_cell(value, decimals) for value in row] for row in table.itertuples(index=False)]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report_table(report: Mapping[str, Any], tries: Tries, section: str = "walk_forward") -> str:
    """Return one section of an evaluation report as a markdown table, intervals beside the numbers, tries below.

    Parameters
    ----------
    report : mapping
        As `walk_forward.eval_report` returns it.
    tries : Tries
        Counted so far.
    section : {"walk_forward", "year_only"}

    Returns
    -------
    str
    """
    table = markdown_table(
        pd.DataFrame(
            [
                {
                    "series": LABELS.get(name, name),
                    "version": series["version"] or "",
                    "net Sharpe [95 %]": with_interval(series["interval"], series["metrics"]["sharpe"]),
                    "CAGR [95 %]": growth_text(series),
                    "max drawdown": percent(series["metrics"]["max_drawdown"]),
                    "turnover a week": percent(series["metrics"]["turnover"]),
                    "weeks up": percent(series["metrics"]["hit_rate"], 0),
                    **{
                        f"Sharpe less {LABELS.get(baseline, baseline)}": signed(series["against"].get(baseline))
                        for baseline in report[section]["series"]["policy"]["against"]
                    },
                }
                for name, series in report[section]["series"].items()
            ]
        )
    )
    series = report[section]["series"]
    told = [narrow_words(series["policy"]["metrics"]["weeks"]), sharpe_caption(series, tries)]
    return "\n\n".join([table, *filter(None, told)])


def sharpe_caption(series: Mapping[str, Mapping[str, Any]], tries: Tries) -> str:
    """Return the sentence that stands below numbers of several series: the policy's Sharpe ratio in its company."""
    told = sharpe_of("policy", series, tries).text()
    return f"Net Sharpe ratio of the policy over all weeks, with 95 % interval: {told}."


def growth_picture(report: Mapping[str, Any], section: str = "walk_forward") -> str:
    """Draw the wealth of the policies and the principal baselines of a report (log scale) as a markdown image."""
    series = _drawn(report, section)
    lines = {LABELS.get(name, name): [1.0, *wealth(np.asarray(one["weekly"]["net"]))] for name, one in series.items()}
    return line_picture(lines, report_span(report, section), "wealth, start = 1 (log scale)", log=True)


def drawdown_picture(report: Mapping[str, Any], section: str = "walk_forward") -> str:
    """Draw the drawdown of the same series as a markdown image."""
    series = _drawn(report, section)
    lines = {LABELS.get(name, name): drawdowns(np.asarray(one["weekly"]["net"])) for name, one in series.items()}
    return line_picture(lines, report_span(report, section), "drawdown")


def _drawn(report: Mapping[str, Any], section: str) -> dict[str, Any]:
    return {
        name: one
        for name, one in report[section]["series"].items()
        if one["role"] != "baseline" or name in PRINCIPAL_BASELINES
    }


def report_span(report: Mapping[str, Any], section: str) -> tuple[str, str]:
    """Return the first and the last day of a section, ISO."""
    return report[section]["series"]["policy"]["weekly"]["weeks"][0], report["last_exit"]


def line_picture(
    lines: Mapping[str, Sequence[float] | np.ndarray],
    span: tuple[str, str],
    title: str,
    *,
    log: bool = False,
    bands: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> str:
    """Draw lines over a common span, and bands behind them, as a markdown image.

    Parameters
    ----------
    lines : mapping of str to sequence of float
        Name -> values, above 0 if ``log``, NaN where there is none. They are spread evenly over the span.
    span : tuple of (str, str)
        Labels of the two ends of the horizontal axis.
    title : str
    log : bool
        Logarithmic vertical axis.
    bands : mapping of str to (ndarray, ndarray), optional
        Name -> lower and upper edge. The band of a line is pale and in its colour; one without a line is solid.

    Returns
    -------
    str
        ``![title](data:image/svg+xml;base64,...)``; equal values give equal text.
    """
    return image(_cell(title, 0), line_svg(lines, span, title, log=log, bands=bands))


def line_svg(
    lines: Mapping[str, Sequence[float] | np.ndarray],
    span: tuple[str, str],
    title: str,
    *,
    log: bool = False,
    bands: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    colours: Mapping[str, str] | None = None,
) -> str:
    """Draw the picture of `line_picture` as an SVG element.

    Parameters
    ----------
    lines, span, title, log, bands
        As in `line_picture`.
    colours : mapping of str to str, optional
        CSS colour by name, for a page that has a key and a theme of its own: names are then not drawn, and paper and
        letters are the page's.

    Returns
    -------
    str
    """
    paper, ink, faint = ("var(--card)", "var(--ink)", "var(--faint)") if colours else (PAPER, INK, FAINT)
    values = {name: _thinned(np.asarray(line, dtype=float)) for name, line in lines.items()}
    edges = {name: [_thinned(np.asarray(edge, dtype=float)) for edge in band] for name, band in (bands or {}).items()}
    every = np.concatenate([*values.values(), *(edge for band in edges.values() for edge in band), [np.nan]])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    scale = math.log if log else float
    bottom, top = scale(low), scale(high)
    depth = (top - bottom) or 1.0

    def place(line: np.ndarray) -> str:
        xs = np.linspace(MARGIN, WIDTH - 8, len(line))
        ys = [HEIGHT - 24 - (scale(float(value)) - bottom) / depth * (HEIGHT - 70) for value in line]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True) if y == y)

    parts = [
        text(MARGIN, 15, title, ink),
        *(text(4, y, f"{value:.3g}", faint) for y, value in ((HEIGHT - 20, low), (50, high))),
        text(MARGIN, HEIGHT - 6, span[0], faint),
        text(WIDTH - 8, HEIGHT - 6, span[1], faint, "end"),
    ]
    offset = float(MARGIN)
    drawn = colours or {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys([*values, *edges]))}
    for name, (lower, upper) in edges.items():
        around = f"{place(lower)} {' '.join(reversed(place(upper).split()))}"
        opacity = 0.2 if name in values else 0.85
        parts.append(f'<polygon points="{around}" fill="{drawn[name]}" fill-opacity="{opacity}"/>')
    for name, colour in drawn.items() if colours is None else ():
        parts.append(text(offset, 33, name, colour))
        offset += 7.2 * len(name) + 16
    for name, line in values.items():
        parts.append(f'<polyline points="{place(line)}" fill="none" stroke="{drawn[name]}" stroke-width="1.5"/>')
    return element(parts, HEIGHT, paper)


def _thinned(line: np.ndarray) -> np.ndarray:
    """Keep at most `POINTS` values, the first and the last among them."""
    kept = np.linspace(0, len(line) - 1, min(len(line), POINTS)).round().astype(int)
    return line[kept]


def _cell(value: Any, decimals: int) -> str:
    if isinstance(value, float):
        return f"{value:.{decimals}f}" if math.isfinite(value) else ""
    if isinstance(value, pd.Timestamp) and value.tzinfo is None and value == value.normalize():
        return str(value.date())
    return str(value).replace("|", "\\|").replace("\n", " ")
