"""What the evidence of a verdict holds, by number: so that one of another version is told from one that was edited.

Whoever adds a field to the evidence, drops one, or changes what one means, raises `FORMAT` and names its place in
`SINCE`. Verdicts are never rewritten: one of an older format is compared, when it is made again, in all other places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 2
"""Of the verdicts that this version makes."""

OLDEST = 1
"""Of verdicts from before they carried the number."""

SINCE: Mapping[int, tuple[str, ...]] = {
    2: ("evidence.duel.deflated", "evidence.growth", "evidence.seen_as_replicates"),
}
"""Format -> the places in a ruling that are new in it, or mean something else than before."""


def format_of(evidence: Mapping[str, Any]) -> int:
    """Return the format of a verdict's evidence."""
    return int(evidence.get("format", OLDEST))


def places_apart(number: int) -> frozenset[str]:
    """Return the places in which a verdict of this version cannot be compared with one of a format."""
    apart = {place for newer, places in SINCE.items() if newer > number for place in places}
    return frozenset(apart if number == FORMAT else {*apart, "evidence.format"})
