"""The evidence of an allocator's tries over time, drawn against the thresholds it must exceed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from allocator_pipeline.evaluation.plots import line_picture
from allocator_pipeline.registry.ledger import BASELINES, FAILED, SCORED, TIE, Entry
from allocator_pipeline.registry.rules import WORDS


def evidence_picture(entries: Iterable[Entry], allocator: str) -> str:
    """Draw the scores z of an allocator's tries against their thresholds, as a markdown image.

    Parameters
    ----------
    entries : iterable of Entry
        The ledger, or a part of it; tries of others, ties and failures, which have no threshold, are left out.
    allocator : str
    """
    own = [entry for entry in entries if entry.allocator == allocator]
    scored = [entry for entry in own if entry.verdict in SCORED]
    if not scored:
        return _unscored(own)
    lines = {
        f"{measure} against {WORDS[name]}": [entry.against[name][key] for entry in scored]
        for name in BASELINES
        for measure, key in (("z", "z"), ("threshold", "threshold"))
    }
    span = (f"try {scored[0].number}", f"try {scored[-1].number}")
    return line_picture(lines, span, "evidence z and the threshold it must exceed, by try")


def _unscored(tries: Sequence[Entry]) -> str:
    """Say why there is no threshold to draw: nothing was tried, or what was tied or failed."""
    if not tries:
        return "Nothing has been tried yet."
    counts = {
        kind: sum(entry.verdict == verdict for entry in tries)
        for verdict, kind in ((TIE, "a tie with a baseline"), (FAILED, "without results"))
    }
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"No threshold to draw: of {len(tries)} {'try' if len(tries) == 1 else 'tries'}, {told}."
