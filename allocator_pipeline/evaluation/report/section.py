"""What a section of the report is, and what it says where there is nothing to show."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from allocator_pipeline.evaluation.summary import LABELS, in_order, percent

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


def longest(summaries: Summaries) -> Mapping[str, Any]:
    """Return the summary over the most weeks: the baselines are shown over these."""
    return max(summaries.values(), key=lambda summary: len(summary["weeks"]))


def labelled(summaries: Summaries) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield label (HTML), series and summary of what is served and unshrunk, then of each baseline once."""
    for allocator, summary in summaries.items():
        share = sum(summary["shares"].values()) / len(summary["shares"])
        for name, kind in (("policy", f"served {percent(share, 0)} of the tilt"), ("unshrunk", "unshrunk")):
            yield f"<strong>{escape(allocator)}</strong><br><small>{kind}</small>", name, summary
    for name, series in in_order(longest(summaries)["series"]).items():
        if series["role"] == "baseline":
            yield f"<strong>{escape(LABELS.get(name, name))}</strong>", name, longest(summaries)


def groups(names: Sequence[str]) -> list[str]:
    """Return the classes of rows made from `labelled`: a rule above each allocator and above the baselines."""
    kinds = [name if name in ("policy", "unshrunk") else "baseline" for name in names]
    starts = [False, *(kind not in ("unshrunk", before) for before, kind in itertools.pairwise(kinds))]
    return ["group" if start else "" for start in starts]


def folded(heading: str, body: str, *, unfolded: bool = False) -> str:
    """Return something that the reader unfolds; printed, it always is."""
    return f"<details{' open' if unfolded else ''}><summary>{escape(heading)}</summary>{body}</details>"
