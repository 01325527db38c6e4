"""Which questions are open, and in which order they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.market.live.needs import Need, Span, requests
from allocator_pipeline.market.raw import RawStore

Failure = tuple[Span, AllocatorError]
"""The days that were asked for, and what was wrong."""


@dataclass(frozen=True)
class Todo:
    """What is open.

    Parameters
    ----------
    questions : list of (Need, Span)
        In the order in which they are asked: those about one name together.
    damaged : dict of str to Failure
        By name, of which a record cannot be read: nothing is asked about it.
    """

    questions: list[tuple[Need, Span]]
    damaged: dict[str, Failure]


def todo(needs: Sequence[Need], store: RawStore, failed: Mapping[str, str] | None = None) -> Todo:
    """Return the questions that are open: names that were never asked for come first, then those asked longest ago.

    A quota that is used up every day thus comes to all names in turn, and who fails keeps nobody from it.

    Parameters
    ----------
    needs : sequence of Need
    store : RawStore
    failed : mapping of str to str, optional
        When a name last failed (ISO, UTC).
    """
    questions: list[tuple[Need, Span]] = []
    damaged: dict[str, Failure] = {}
    asked: dict[str, str] = {}
    for need in needs:
        name = need.key.name
        try:
            records = store.records(need.key)
        except CorruptArtifactError as error:
            damaged[name] = (need.first, need.last), error
            continue
        questions += [(need, span) for span in requests(need, records)]
        last = records[-1].fetched_at.isoformat() if records else ""
        asked[name] = min(asked.get(name, last), last)
    for name, moment in (failed or {}).items():
        asked[name] = max(asked.get(name, ""), moment)
    whole = [question for question in questions if question[0].key.name not in damaged]
    return Todo(sorted(whole, key=lambda question: asked[question[0].key.name]), damaged)
