"""What must hold after a soak."""

from __future__ import annotations

from itertools import pairwise

import pytest

from allocator_pipeline.account.booking import Booking
from allocator_pipeline.account.events import Balance, Event
from allocator_pipeline_tests.soak.world import ALLOCATORS, World, weeks_from_first


def check(world: World, weeks: int) -> None:
    """Each week is decided, labelled, booked and scored once for each allocator, and the accounts reconcile."""
    wanted = weeks_from_first(weeks)
    for name in ALLOCATORS:
        rows = world.store.experience.records(name)
        assert [row.decision.week_start for row in rows][:weeks] == wanted, f"{name}: decisions"
        assert all(row.decision.attempt == 1 and not row.superseded for row in rows), f"{name}: decided again"
        assert all(row.label is not None for row in rows[:weeks]), f"{name}: labels"
        booked = world.store.account(name).history()
        assert [week.week for week in booked][:weeks] == wanted, f"{name}: bookings"
        for week, row in zip(booked[:weeks], rows, strict=False):
            assert week.actual_weights == row.label.actual_weights, f"{name}: {week.week} is booked otherwise"
        reconcile(booked)
        papers = {key for key in world.store.assets.keys("paper_evaluations") if key.startswith(f"{name}|")}
        assert {f"{name}|{week}" for week in wanted} <= papers, f"{name}: paper evaluations"
    world.verdicts()
    world.store.ledger.history()


def reconcile(booked: list[Booking]) -> None:
    """The events of all weeks, one after the other, make what the account holds and is worth."""
    balance = Balance()
    for week in booked:
        balance = balance.after(Event(**event) for event in week.events)
        assert balance == week.balance, f"{week.week}: other holdings than booked"
        prices = week.events[-1]["facts"]["prices"]
        assert balance.value(prices) == pytest.approx(week.nav, rel=1e-12), f"{week.week}: another value than booked"
        assert abs(week.reconciliation_error) < 1e-9, f"{week.week}: another return than the environment's"
    for before, after in pairwise(booked):
        assert after.nav_before == before.nav, f"{after.week}: begins with another value"


def compare(disturbed: World, undisturbed: World) -> list[str]:
    """Return the names of results that differ."""
    one, other = disturbed.contents(), undisturbed.contents()
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    rows = [world.store.experience.records() for world in (disturbed, undisturbed)]
    return [*names, *(["experience.sqlite"] if rows[0] != rows[1] else [])]
