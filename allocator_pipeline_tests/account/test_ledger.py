"""A week is executed exactly once, whatever fails or is killed on the way, and nobody edits the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allocator_pipeline.account.ledger import AccountLedger, nav_series
from allocator_pipeline.config import AccountConfig
from allocator_pipeline.errors import ConflictError, CorruptArtifactError, StorageError
from allocator_pipeline_tests.account.market import ALLOCATOR, COSTS, SYMBOLS, decisions, equal_target, make_market
from allocator_pipeline_tests.faults.conftest import Failing, failing

__all__ = ["failing"]
CONFIG = AccountConfig()
MARKET = make_market(2)
MADE = decisions([equal_target(), equal_target(SYMBOLS[2:17]), equal_target(SYMBOLS[4:19])])


@pytest.fixture
def ledger(tmp_path: Path) -> AccountLedger:
    return AccountLedger(tmp_path / "accounts", ALLOCATOR)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.json")}


def fill(ledger: AccountLedger) -> None:
    for decision in MADE:
        ledger.book(decision, MARKET.tape(), COSTS, CONFIG)


def test_booked_again_it_is_the_same_ledger(ledger: AccountLedger, tmp_path: Path) -> None:
    fill(ledger)
    before = contents(tmp_path)
    fill(ledger)
    ledger.book(MADE[0], make_market(99).tape(), COSTS, CONFIG)  # prices were revised: what is booked is booked
    assert contents(tmp_path) == before
    assert [week.run_id for week in ledger.history()] == [decision.run_id for decision in MADE]


def test_two_ledgers_of_the_same_weeks_are_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        fill(AccountLedger(tmp_path / name, ALLOCATOR))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("changed", [{"attempt": 2}, {"action": equal_target(SYMBOLS[1:16])}])
def test_another_decision_of_a_booked_week_is_refused(ledger: AccountLedger, changed: dict) -> None:
    fill(ledger)
    with pytest.raises(ConflictError, match="of another decision") as caught:
        ledger.book(replace(MADE[1], **changed), MARKET.tape(), COSTS, CONFIG)
    assert caught.value.week == MADE[1].week_start


def test_every_failing_write_leaves_the_old_ledger_or_the_new(tmp_path: Path, failing: Failing) -> None:
    whole = AccountLedger(tmp_path / "whole", ALLOCATOR)
    whole.book(MADE[0], MARKET.tape(), COSTS, CONFIG)
    with failing.nth(0):
        whole.book(MADE[1], MARKET.tape(), COSTS, CONFIG)
        calls = failing.count
    assert calls > 3
    for number in range(1, calls + 1):
        ledger = AccountLedger(tmp_path / str(number), ALLOCATOR)
        ledger.book(MADE[0], MARKET.tape(), COSTS, CONFIG)
        with failing.nth(number), pytest.raises(StorageError):
            ledger.book(MADE[1], MARKET.tape(), COSTS, CONFIG)
        assert len(ledger.history()) in (1, 2)
        ledger.book(MADE[1], MARKET.tape(), COSTS, CONFIG)
        assert ledger.history() == whole.history()


def test_an_edited_booking_is_noticed_with_what_to_do(ledger: AccountLedger, tmp_path: Path) -> None:
    fill(ledger)
    path = tmp_path / "accounts" / ALLOCATOR / "000002.json"
    path.write_bytes(path.read_bytes().replace(b'"cash":', b'"cash":1', 1))
    with pytest.raises(CorruptArtifactError, match="materialise paper_account"):
        ledger.history()
    with pytest.raises(CorruptArtifactError, match="materialise paper_account"):
        fill(ledger)


def test_net_asset_value_begins_with_the_deposit_and_ends_with_the_last_exit(ledger: AccountLedger) -> None:
    assert nav_series(ledger.history()).empty
    fill(ledger)
    values = nav_series(ledger.history())
    assert values.iloc[0] == CONFIG.deposit
    assert values.index.is_monotonic_increasing
    assert len(values) == len(MADE) + 1
    assert values.iloc[-1] == ledger.history()[-1].nav
