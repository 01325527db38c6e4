"""How far the data behind it all can be trusted: coverage, gaps, jumps, disagreements, rejected rows."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from allocator_pipeline.evaluation.heat_map import heat_svg
from allocator_pipeline.evaluation.page import table
from allocator_pipeline.evaluation.report.section import Section, absent, bullets, folded, note

SHOWN = 40
"""At most so many lines of a kind are spelled out."""

HEADER = ("Year", "Symbols", "Bars", "Articles", "Quarters", "Gaps and bad values", "Moves over 40 %", "Rejected rows")


def data_quality(quality: Mapping[str, Any] | None) -> Section:
    """Show the quality of the market's data.

    Parameters
    ----------
    quality : mapping or None
        ``years`` (a row of numbers by year), ``shares`` (symbol -> year -> share of its sessions that have a bar),
        ``problems``, ``moves`` and ``disagreements`` (lines by heading), as `defs.data_quality` gathers them.
    """
    if quality is None or not quality["years"]:
        return Section("data-quality", "Data quality", absent("prices"))
    rows = [
        [
            escape(year),
            *(
                f"{row[name]:,}" if row[name] is not None else "not made"
                for name in ("symbols", "bars", "articles", "quarters", "problems", "moves", "rejected")
            ),
        ]
        for year, row in quality["years"].items()
    ]
    shares = pd.DataFrame.from_dict(quality["shares"], orient="index").reindex(columns=list(quality["years"]))
    body = (
        bullets(quality["words"])
        + table(HEADER, rows)
        + f'<div class="scroll" tabindex="0">{heat_svg(shares, "Share of its sessions with a bar", themed=True)}</div>'
        + note(
            "Green is complete; a stock's sessions are those of its listing, or, where the market has no listings, "
            "those from its first to its last bar. Grey: none in that year."
        )
        + "".join(
            folded(f"{heading} ({len(lines)})", bullets(_cut(lines)))
            for heading, lines in quality["lines"].items()
            if lines
        )
    )
    return Section("data-quality", "Data quality", body)


def _cut(lines: list[str]) -> list[str]:
    return lines[:SHOWN] + ([f"... and {len(lines) - SHOWN} more."] if len(lines) > SHOWN else [])
