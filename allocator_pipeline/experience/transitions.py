"""Labelled experience as transitions: what fine-tuning reads of the store."""

from __future__ import annotations

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.experience.labeling import held_at_execution
from allocator_pipeline.experience.records import Decision, Experience, Label, observed
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.transition import Transition


def labelled_transitions(store: ExperienceStore, allocator: str) -> list[Transition]:
    """Return the labelled weeks of an allocator in order.

    Raises
    ------
    LabelError
        If a labelled week continues one that is not labelled.
    CorruptArtifactError
        If a record cannot be trusted.
    """
    rows = {row.decision.run_id: row for row in store.records(allocator)}
    return [
        transition(row.decision, row.label, rows.get(row.decision.portfolio.get("run_id", "")))
        for row in rows.values()
        if row.label is not None
    ]


def transition(decision: Decision, label: Label, previous: Experience | None) -> Transition:
    """Return one labelled week.

    Parameters
    ----------
    decision : Decision
    label : Label
    previous : Experience or None
        The week before, where the decision continues a paper account.
    """
    held = held_at_execution(decision, previous)
    known = dict(decision.portfolio["holdings"])
    content = {
        "week": decision.week_start,
        "state": decision.state,
        "action": decision.action,
        "known": known,
        "held": held,
        "reward": label.reward,
        "next_state": label.next_state,
    }
    following = str(calendar.shift_week(decision.week_start, 1).date())
    return Transition(
        run_id=decision.run_id,
        week=decision.week_start,
        before=observed(decision.state, decision.week_start),
        after=observed(label.next_state, following),
        action=dict(decision.action),
        known=known,
        held=held,
        reward=label.reward,
        digest=sha256(canonical_json(content)),
    )
