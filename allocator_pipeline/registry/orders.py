"""What people order by hand: a roll-back, or the promotion of a version. Either is a verdict like any other.

A roll-back leads to a former champion, whatever the gate, for an operator must be able to go back. A promotion leads to
any stored version that verifies, also one that no report has judged, and the gate in force applies to it: where
`config.GateConfig` demands the badge of a promotion and the version lacks it, the verdict is that the champion is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.promotion import admitted, kept
from allocator_pipeline.registry.rulings import check_order, proven_by, ruling_on_order, ruling_on_promotion
from allocator_pipeline.registry.verdicts import Ruling, Verdict, latest_by

Judge = Callable[..., Ruling]


def rollback(court: Court, version: str, effective_week: str | pd.Timestamp, reason: str) -> Verdict:
    """Make an earlier champion champion again, from a week on until a later verdict takes effect.

    Returns
    -------
    Verdict
        The new one; the one in force if the version is champion at that week already.

    Raises
    ------
    ConfigurationError
        If no reason is given.
    ConflictError
        If the version was not champion by that week.
    NoChampionError
        If no champion is effective at that week.
    MissingPartitionError, CorruptArtifactError
        If its artefact is absent or does not verify, or the ledger lacks a try that a verdict rests on.
    """
    return _follow(court, {"version": version, "reason": reason}, effective_week, ruling_on_order, check_order)


def promote(court: Court, version: str, effective_week: str | pd.Timestamp, reason: str) -> Verdict:
    """Make a stored version champion by hand, from a week on until a later verdict takes effect.

    Returns
    -------
    Verdict
        The new one, which keeps the champion where the gate demands a badge that the version lacks by that week; the
        one in force if the version is champion at that week already.

    Raises
    ------
    ConfigurationError
        If no reason is given.
    ConflictError
        If the version was trained on an exit after that week's decision.
    MissingPartitionError, CorruptArtifactError
        If its artefact is absent or does not verify, or the ledger lacks a try that a verdict rests on.
    """
    order = {"kind": "promotion", "version": version, "reason": reason}
    return _follow(court, order, effective_week, ruling_on_promotion)


def _follow(
    court: Court,
    order: Mapping[str, Any],
    effective_week: str | pd.Timestamp,
    rule: Judge,
    check: Callable[..., object] = lambda *_: None,
) -> Verdict:
    name, week = court.log.allocator, str(calendar.week(effective_week)["week"].date())
    if not order["reason"].strip():
        raise ConfigurationError("An order needs a reason.", todo="say why; it stays in the record.", week=week)
    history = court.log.history()
    before = latest_by(history, week)
    if before is not None and before.champion == order["version"]:
        court.artifacts.load(name, before.champion)  # an order that cannot be followed is not said to be
        return before
    order = {**order, "week": week, "after": len(history)}

    def judge(history: list[Verdict]) -> Ruling:
        tries = court.tries()
        own = [entry for entry in tries if (entry.allocator, entry.candidate) == (name, order["version"])]
        entry = next((entry for entry in reversed(own) if entry.date <= week), None)
        check(name, order, history)
        documents = {"order": order, "candidate": admitted(court.artifacts, name, order["version"], week).manifest}
        inputs = kept(court, documents, entry)
        return rule(name, documents, entry, proven_by(tries, entry, week), history, court.gate, inputs)

    return court.rule(sha256(canonical_json(order)), judge)
