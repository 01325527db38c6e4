"""Gather what the HTML report and the demo's closing table show: the latest of everything stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import sha256, write_bytes
from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.evaluation.comparison import FORMAT as COMPARISON_FORMAT
from allocator_pipeline.evaluation.report.court import badges, table_note, tries_so_far
from allocator_pipeline.evaluation.report.document import html_report
from allocator_pipeline.evaluation.summary import findings, format_table, summary_table

FILE = "report.html"


@dataclass(frozen=True)
class ReportInputs:
    """The latest of everything.

    Parameters
    ----------
    reports : dict
        Allocator -> its latest evaluation report.
    verdicts : dict
        Allocator -> its verdicts, oldest first.
    forecasts : dict or None
        The forecast panel over years, if it has been summed up.
    decisions : dict
        Allocator -> its last decision: ``week``, ``version``, ``target`` and ``turnover``.
    summaries : dict
        Allocator -> its summary over all judged years, as far as there is one of the policies that its latest report
        judges.
    comparison : dict or None
        The comparison of all allocators, if it is made and of the format that this version reads.
    quality : dict or None
        How far the market's data can be trusted, if somebody has looked.
    """

    reports: dict[str, dict[str, Any]]
    verdicts: dict[str, list[dict[str, Any]]]
    forecasts: dict[str, Any] | None
    decisions: dict[str, dict[str, Any]]
    summaries: dict[str, dict[str, Any]]
    comparison: dict[str, Any] | None
    quality: dict[str, Any] | None = None

    def summary(self) -> str:
        """Return the closing table as text."""
        table = format_table(summary_table(self.reports, self.verdicts))
        return f"{table}\n\n{table_note(self.verdicts, tries_so_far(self.comparison, self.verdicts))}"

    def words(self) -> list[str]:
        """Return the main sentences: the badge of each champion, and what can be told from chance."""
        told = badges(self.verdicts, tries_so_far(self.comparison, self.verdicts))
        return [*told, *findings(self.reports, self.comparison)]

    def html(self) -> str:
        """Return the HTML report."""
        return html_report(
            self.reports,
            self.verdicts,
            self.forecasts,
            self.decisions,
            self.summaries,
            self.comparison,
            self.quality,
        )


def latest_inputs(store: StoreResource) -> ReportInputs:
    """Read the latest reports, verdicts, forecasts, decisions and summaries.

    Raises
    ------
    MissingPartitionError
        If no allocator has a report yet.
    """
    reports = {name: store.assets.read("eval_reports", key) for name, key in _newest(store, "eval_reports").items()}
    if not reports:
        raise MissingPartitionError(
            "There is no evaluation report to show.",
            todo="materialise eval_reports of a year first, or run `make demo`.",
        )
    return ReportInputs(
        reports=reports,
        verdicts={name: [asdict(item) for item in store.verdicts(name).history()] for name in reports},
        forecasts=_only(store, "forecast_summary"),
        decisions={
            name: _decision(store.assets.read("target_weights", key), split(key)[1])
            for name, key in _newest(store, "target_weights").items()
        },
        summaries={
            name: summary
            for name, report in reports.items()
            if store.assets.has("allocator_summary", name)
            # one of policies before a new training would put two of them on one page
            and (summary := store.assets.read("allocator_summary", name))["versions"]
            == report["walk_forward"].get("versions")
        },
        comparison=_comparison(store),
    )


def write_report(inputs: ReportInputs, path: Path) -> str:
    """Write the HTML report atomically.

    Returns
    -------
    str
        Its sha256.
    """
    payload = inputs.html().encode()
    write_bytes(path, payload)
    return sha256(payload)


def _newest(store: StoreResource, asset: str) -> dict[str, str]:
    keys = store.assets.keys(asset)
    return {name: max(own) for name in ALLOCATORS if (own := [key for key in keys if split(key)[0] == name])}


def _only(store: StoreResource, asset: str) -> dict[str, Any] | None:
    """Return the one partition of an asset, or None while it is not made."""
    return store.assets.read(asset, "all") if store.assets.has(asset, "all") else None


def _comparison(store: StoreResource) -> dict[str, Any] | None:
    """Return the comparison, or None while it is not made, or made by a version that meant something else by it."""
    found = _only(store, "evaluation_summary")
    return found if found and found["format"] == COMPARISON_FORMAT else None


def _decision(value: dict[str, Any], week: str) -> dict[str, Any]:
    return {
        "week": week,
        "version": value["policy_version"],
        "target": value["target_weights"],
        "turnover": value["turnover"],
    }
