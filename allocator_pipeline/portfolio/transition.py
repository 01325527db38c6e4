"""One labelled week of a portfolio that was really held: what was seen, done, paid, and seen then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from allocator_pipeline.portfolio.state import Observation


@dataclass(frozen=True)
class Transition:
    """A transition as it was recorded, whoever decided it.

    Parameters
    ----------
    run_id : str
        Whose record it is.
    week : str
        ISO Monday.
    before, after : Observation
        What was seen at this decision and at the next one; unscaled, the symbols in any order.
    action : mapping of str to float
        Weight wanted by symbol and CASH.
    known, held : mapping of str to float
        Weights by symbol and CASH before the trade, as known at the decision and as they were at its execution.
    reward : float
        What `rewards.reward` says of the week.
    digest : str
        sha256 over all of it.
    """

    run_id: str
    week: str
    before: Observation
    after: Observation
    action: Mapping[str, float]
    known: Mapping[str, float]
    held: Mapping[str, float]
    reward: float
    digest: str
