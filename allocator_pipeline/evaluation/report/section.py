"""What a section of the report is, and what it says where there is nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

Summaries = Mapping[str, Mapping[str, Any]]
"""Allocator -> its summary over all judged years."""

Comparison = Mapping[str, Any]
"""All allocators against the baselines and each other, over their common weeks."""


@dataclass(frozen=True)
class Section:
    """One section.

    Parameters
    ----------
    key : str
        Id of its element.
    heading : str
        Plain text.
    body : str
        HTML.
    figures : dict
        Plotly specification by the id of its place in the body.
    """

    key: str
    heading: str
    body: str
    figures: dict[str, Any] = field(default_factory=dict)


def bullets(lines: Sequence[str]) -> str:
    """Return plain sentences as a list."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def note(text: str) -> str:
    """Return a remark."""
    return f'<p class="note">{escape(text)}</p>'


def absent(asset: str, partitions: Sequence[str] = ()) -> str:
    """Say which asset to materialise to see what is missing."""
    which = f" of {escape(', '.join(partitions))}" if partitions else ""
    return f'<p class="note">Nothing to show yet: materialise <code>{escape(asset)}</code>{which}.</p>'


def without_summary(allocators: Sequence[str], summaries: Summaries) -> str:
    """Say for which of some allocators a summary is missing, or nothing."""
    missing = [name for name in allocators if name not in summaries]
    return absent("allocator_summary", missing) if missing else ""


def folded(heading: str, body: str, *, unfolded: bool = False) -> str:
    """Return something that the reader unfolds; printed, it always is."""
    return f"<details{' open' if unfolded else ''}><summary>{escape(heading)}</summary>{body}</details>"
