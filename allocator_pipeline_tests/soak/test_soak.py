"""Weeks of schedules, sensors and runs with failing reads and kills end as if undisturbed."""

import random
from dataclasses import replace
from unittest.mock import patch

import pandas as pd
import pytest

from allocator_pipeline.account.ledger import AccountLedger
from allocator_pipeline.config import AccountConfig
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.simulated import SimulatedMarket
from allocator_pipeline_tests.account.market import ALLOCATOR, COSTS
from allocator_pipeline_tests.faults.writers import weeks_to_book
from allocator_pipeline_tests.soak.base import prepare
from allocator_pipeline_tests.soak.checks import check, compare, reconcile
from allocator_pipeline_tests.soak.disturbance import Disturber, Watcher
from allocator_pipeline_tests.soak.harness import soak
from allocator_pipeline_tests.soak.operator import failing, next_event
from allocator_pipeline_tests.soak.world import World, end_of, finish, weeks_from_first


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> World:
    """Return a folder with the first champions in it."""
    world = World(tmp_path_factory.mktemp("soak") / "base")
    prepare(world)
    return world


@pytest.fixture(scope="module")
def undisturbed(base, tmp_path_factory) -> World:
    """Return the folder of four undisturbed weeks."""
    world = base.copy(tmp_path_factory.mktemp("soak") / "undisturbed")
    finish(world.start(end_of(4)))
    return world


@pytest.mark.timeout(3600)
def test_twelve_weeks_with_failing_reads_and_two_kills_end_as_if_undisturbed(base, tmp_path):
    found = soak(base, tmp_path, weeks=12, kills=2, share=0.05, seed=1)
    assert len(found.killed_at) == 2
    assert found.failed_reads
    assert found.looks > 100
    assert found.differing == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2, 22))
def test_four_weeks_end_as_if_undisturbed_whatever_fails(base, undisturbed, tmp_path, seed):
    world = base.copy(tmp_path / "disturbed")
    assert len(Disturber(world, end_of(4), 0.05, 1, seed).run()) == 1
    check(world, 4)
    assert compare(world, undisturbed) == []


def test_the_simulated_days_are_those_of_the_schedules():
    """Also where New York puts its clocks forward, on 2024-03-10."""
    now, found = pd.Timestamp("2024-03-05", tz="UTC"), []
    for _ in range(4):
        now = next_event(now)
        found.append(f"{now:%m-%d %H:%M}")
    assert found == ["03-09 11:00", "03-10 14:00", "03-11 12:30", "03-16 10:00"]


def test_a_share_of_reads_fails_and_none_afterwards(monkeypatch):
    monkeypatch.setattr(SimulatedMarket, "prices", lambda self, year: year)
    market = object.__new__(SimulatedMarket)
    failed = []
    with failing(0.5, random.Random(0), failed.append):
        outcomes = []
        for year in range(200):
            try:
                outcomes.append(market.prices(year))
            except (MarketDataError, TimeoutError) as error:
                outcomes.append(type(error))
    assert {MarketDataError, TimeoutError} < set(outcomes)
    assert 60 < sum(isinstance(outcome, int) for outcome in outcomes) < 140
    assert len(failed) == 200 - sum(isinstance(outcome, int) for outcome in outcomes)
    assert market.prices(7) == 7


def test_so_many_weeks_end_two_sundays_after_the_last():
    assert weeks_from_first(3) == ["2024-01-08", "2024-01-15", "2024-01-22"]
    assert end_of(3) == pd.Timestamp("2024-02-05", tz="UTC")


def test_an_account_that_does_not_reconcile_is_found(tmp_path):
    (tape, decided), ledger = weeks_to_book(), AccountLedger(tmp_path, ALLOCATOR)
    booked = [ledger.book(each, tape, COSTS, AccountConfig()) for each in decided[:4]]
    reconcile(booked)
    for changes in ({"cash": 1e9}, {"nav": 1.0}, {"events": booked[2].events[1:]}, {"reconciliation_error": 1e-8}):
        with pytest.raises(AssertionError, match=booked[2].week):
            reconcile([*booked[:2], replace(booked[2], **changes), booked[3]])
    with pytest.raises(AssertionError, match="other holdings"):
        reconcile([booked[0], *booked[2:]])


def test_a_verdict_that_is_changed_or_lost_is_seen_while_watching(tmp_path):
    world = World(tmp_path)
    watcher = Watcher(world)
    for seals in (["a"], ["a", "b"]):
        with patch.object(World, "verdicts", lambda self, seals=seals: {"sac_lstm": seals}), watcher.watching():
            pass
    for seals in (["a"], ["a", "c"]):
        with (
            patch.object(World, "verdicts", lambda self, seals=seals: {"sac_lstm": seals}),
            pytest.raises(AssertionError, match="changed or lost"),
            watcher.watching(),
        ):
            pass
    assert watcher.looks >= 2
