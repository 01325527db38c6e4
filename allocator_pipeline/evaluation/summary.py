"""What the reports say, in rows and in words: shared by the terminal's table, the HTML report and the Dagster UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.performance import TIE, alike
from allocator_pipeline.evaluation.walk_forward import POLICY, check_format

LABELS = {
    "equal_weight": "equal weight",
    "hrp": "HRP",
    "inverse_volatility": "inverse vol.",
    "minimum_variance": "min variance",
    "maximum_diversification": "diversified",
    "equal_risk_contribution": "equal risk",
    "buy_and_hold": "buy and hold",
    "momentum": "momentum",
    "random": "random",
}
"""Readable names of baselines; others keep theirs."""

OUTCOMES = {
    "promoted": "promoted",
    "kept": "not promoted",
    "insufficient": "too few weeks to judge",
    "rolled_back": "rolled back",
}

Reports = Mapping[str, Mapping[str, Any]]
Verdicts = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Row:
    """One series of the walk-forward weeks, as a table shows it.

    Parameters
    ----------
    label : str
        Allocator, allocator and reference, or baseline.
    role : {"candidate", "reference", "baseline"}
    allocator : str
        Whose report it comes from.
    series : mapping
        As in `walk_forward`.
    verdict : mapping or None
        The gate's verdict on the report; None for all but candidates, and while it waits.
    """

    label: str
    role: str
    allocator: str
    series: Mapping[str, Any]
    verdict: Mapping[str, Any] | None


def rows(reports: Reports, verdicts: Verdicts) -> list[Row]:
    """Return the rows of the result table: allocators, then references, then each baseline once per range of weeks.

    Parameters
    ----------
    reports : mapping of str to dict
        Allocator -> its latest report (`walk_forward.eval_report`).
    verdicts : mapping of str to sequence of dict
        Allocator -> its verdicts, oldest first; an allocator without any may be absent.

    Returns
    -------
    list of Row

    Raises
    ------
    NotEnoughDataError
        If there is no report.
    CorruptArtifactError
        If one was written by another version.
    """
    if not reports:
        raise NotEnoughDataError("There is no report to show.", todo="materialise eval_reports first.")
    for report in reports.values():
        check_format(report)
    found: dict[str, list[Row]] = {"candidate": [], "reference": [], "baseline": []}
    seen: set[tuple[str, str, str]] = set()
    several = len({(report["first_week"], report["last_week"]) for report in reports.values()}) > 1
    for allocator, report in reports.items():
        for name, series in in_order(report["walk_forward"]["series"]).items():
            role, label = series["role"], allocator
            if role == "reference":
                label = f"{allocator} {'ref.' if name == 'reference' else name}"
            if role == "baseline":
                key = (name, report["first_week"], report["last_week"])
                if key in seen:
                    continue
                seen.add(key)
                years = f" {report['first_week'][2:4]}-{report['last_week'][2:4]}" if several else ""
                label = LABELS.get(name, name) + years
            verdict = verdict_on(report, verdicts.get(allocator, ())) if name == POLICY else None
            found[role].append(Row(label, role, allocator, series, verdict))
    return [row for group in found.values() for row in group]


def in_order(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping by name with the allocators, then the baselines, in their usual order, and others first.

    What was stored as JSON comes back in the order of the alphabet.
    """
    usual = {name: place for place, name in enumerate([*ALLOCATORS, *LABELS])}
    return dict(sorted(by_name.items(), key=lambda item: usual.get(item[0], -1)))


def verdict_on(report: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the latest verdict on a report, or None while it waits for one."""
    source = f"report:{report['allocator']}|{report['year']}"
    judged = [item for item in history if item["source"] == source and item["candidate"] == report["candidate"]]
    return judged[-1] if judged else None


def summary_table(reports: Reports, verdicts: Verdicts) -> pd.DataFrame:
    """Return the result table as text cells; `format_table` prints it within 140 columns.

    Parameters
    ----------
    reports, verdicts : mapping
        As in `rows`.

    Returns
    -------
    DataFrame of str
        One row per series: net Sharpe ratio and its differences to the baselines with 95 % intervals; CAGR, greatest
        drawdown, mean weekly turnover and share of weeks up in percent; the gate's verdict: ``promote`` the version,
        ``keep`` the champion, ``too few`` weeks to judge, or ``waiting`` for one.
    """
    return pd.DataFrame(
        [
            {
                "allocator": row.label,
                "version": row.series["version"] or "-",
                "Sharpe [95 %]": with_interval(row.series["interval"], row.series["metrics"]["sharpe"]),
                "CAGR %": _hundredfold(row.series["metrics"]["cagr"]),
                "DD %": _hundredfold(row.series["metrics"]["max_drawdown"]),
                "turn %": _hundredfold(row.series["metrics"]["turnover"]),
                "hit %": _hundredfold(row.series["metrics"]["hit_rate"]),
                "Sharpe - HRP": signed(row.series["against"].get("hrp")),
                "Sharpe - equal w.": signed(row.series["against"].get("equal_weight")),
                "gate": _gate_word(row),
            }
            for row in rows(reports, verdicts)
        ]
    )


def format_table(table: pd.DataFrame) -> str:
    """Return a table of text cells as aligned lines, the first two columns to the left and the others to the right."""
    cells = [[str(name) for name in table.columns]]
    cells += [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )


def findings(reports: Reports, comparison: Mapping[str, Any] | None = None) -> list[str]:
    """Say in sentences which allocators can be told apart from which baseline, and what chance alone would do.

    Parameters
    ----------
    reports : mapping of str to dict
        Allocator -> its latest report.
    comparison : mapping, optional
        The comparison of allocators over the same weeks; its verdicts, by two tests, go before the reports' intervals.

    Returns
    -------
    list of str
    """
    verdicts = _verdicts_of(comparison) if comparison else {}
    first = alike(
        {name: np.asarray(one["walk_forward"]["series"][POLICY]["weekly"]["net"]) for name, one in reports.items()}
    )
    sentences: list[str] = []
    tested: list[tuple[str, str]] = []
    ties = 0
    for baseline, label in LABELS.items():
        groups: dict[str, list[str]] = {}
        for allocator, report in reports.items():
            against = report["walk_forward"]["series"][POLICY]["against"]
            if baseline in against:
                key = (allocator, baseline, report["first_week"], report["last_week"])
                kind = verdicts.get(key) or paired_with(against[baseline])
                groups.setdefault(kind, []).append(allocator)
                ties += kind == "tie"
                tested += [(first[allocator], baseline)] if kind in ("above", "below", "same") else []
        parts = [f"{_listed(names)} {_verb(kind, len(names))}" for kind, names in groups.items()]
        if parts:
            sentences.append(f"Against {label}: {'; '.join(parts)}.")
    if compared := len(set(tested)):
        sentences.append(
            f"These are {compared} comparisons at 95 %{beside_the_tested(len(tested) - compared, ties)}: if nothing "
            f"differed at all, about {0.05 * compared:.1g} of them would still seem to."
        )
    return sentences


def beside_the_tested(repeats: int, ties: int) -> str:
    """Return what there is beside the comparisons counted: ``" (2 more repeat another's returns, 5 are ties)"``."""
    parts = [f"{repeats} more {'repeats' if repeats == 1 else 'repeat'} another's returns"] if repeats else []
    parts += [f"{ties} {'is a tie' if ties == 1 else 'are ties'}"] if ties else []
    return f" ({', '.join(parts)})" if parts else ""


def _verdicts_of(comparison: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    weeks = comparison["first_week"], comparison["last_week"]
    return {(pair["allocator"], pair["baseline"], *weeks): pair["verdict"] for pair in comparison["pairs"]}


def compared_with(difference: Mapping[str, Any] | None) -> str:
    """Return "above", "below", "same" (the interval holds zero) or "unknown" (too few weeks)."""
    if difference is None:
        return "unknown"
    if difference["low"] > 0:
        return "above"
    return "below" if difference["high"] < 0 else "same"


def paired_with(difference: Mapping[str, Any] | None) -> str:
    """Return the same of two series, or "tie" where they are equal in every week: no redraw of weeks parts them."""
    tie = difference is not None and max(abs(difference["low"]), abs(difference["high"])) <= TIE
    return "tie" if tie else compared_with(difference)


def in_words(difference: Mapping[str, Any] | None, baseline: str) -> str:
    """Say what a Sharpe difference means: ``"not distinguishable from equal weight"``."""
    label = LABELS.get(baseline, baseline)
    return {
        "above": f"above {label}, more than chance explains",
        "below": f"below {label}, more than chance explains",
        "same": f"not distinguishable from {label}",
        "tie": f"identical to {label} in every week",
        "unknown": f"too few weeks to compare with {label}",
    }[paired_with(difference)]


def verdict_word(row: Row) -> str:
    """Return the gate's verdict on a row in a word or two."""
    return OUTCOMES.get(row.verdict["outcome"], row.verdict["outcome"]) if row.verdict else "waiting"


def percent(value: float, decimals: int = 1) -> str:
    """Format a fraction: ``0.123`` -> ``"12.3 %"``."""
    return f"{100 * value:.{decimals}f} %"


def p_value(value: float | None) -> str:
    """Format a p-value: ``"0.34"``, ``"0.012"`` or ``"below 0.001"``; ``"n/a"`` if there is none."""
    if value is None:
        return "n/a"
    return "below 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def with_interval(interval: Mapping[str, Any] | None, estimate: float) -> str:
    """Format an estimate and its interval: ``"0.91 [0.20,1.63]"``."""
    return f"{estimate:.2f} [{interval['low']:.2f},{interval['high']:.2f}]" if interval else f"{estimate:.2f} [n/a]"


def signed(difference: Mapping[str, Any] | None) -> str:
    """Format a difference and its interval with signs: ``"+0.05 [-0.10,+0.19]"``; ``"-"`` if there is none."""
    if difference is None:
        return "-"
    return f"{plus(difference['estimate'])} [{plus(difference['low'])},{plus(difference['high'])}]"


def plus(value: float) -> str:
    """Format with a sign and two decimals; what rounds to zero is ``"+0.00"``."""
    return f"{round(value, 2) + 0.0:+.2f}"


def _gate_word(row: Row) -> str:
    if row.role != "candidate":
        return "-"
    short = {"promoted": "promote", "kept": "keep", "insufficient": "too few"}
    return short.get(row.verdict["outcome"], row.verdict["outcome"]) if row.verdict else "waiting"


def _hundredfold(value: float) -> str:
    return f"{100 * value:.1f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verb(kind: str, count: int) -> str:
    are, have = ("is", "has") if count == 1 else ("are", "have")
    return {
        "above": f"{are} above by more than chance explains",
        "below": f"{are} below by more than chance explains",
        "same": "cannot be told apart from it",
        "tie": f"{are} identical to it in every week",
        "unknown": f"{have} too few weeks to be compared",
    }[kind]
