"""Promotions on a log that is damaged or too short: refused, until it is restored or begun anew on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.cli.registry import main
from allocator_pipeline.config import Settings
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.runner import QUIET
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.registry import promotion
from allocator_pipeline.registry.promotion import count_report
from allocator_pipeline.registry.verification import verification
from allocator_pipeline_tests.registry.conftest import CUTOFFS, STATES, make_artifact, make_report, tilted_policy

NAME = "ppo_lstm"
OTHER = "sac_lstm"
ASSETS = ("promoted_policies", "promotion_history")


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return Settings(market="simulated", data_dir=tmp_path_factory.mktemp("promotions"))


@pytest.fixture(scope="module")
def definitions(settings) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture
def store(settings):
    yield StoreResource(root=str(settings.market_dir.absolute()))
    shutil.rmtree(settings.market_dir)


@pytest.fixture
def promote(definitions, store) -> Callable[..., str]:
    """Make what tells of an allocator's verdicts anew; return what went wrong."""

    def run(*assets: str, name: str = NAME, **order: str) -> str:
        job = definitions.resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            done = job.execute_in_process(
                instance=instance,
                partition_key=name,
                asset_selection=[dg.AssetKey(asset) for asset in assets or ASSETS],
                run_config={**QUIET, "ops": {"promoted_policies": {"config": order}} if order else {}},
                raise_on_error=False,
            )
        failures = [event.step_failure_data.error for event in done.all_events if event.is_step_failure]
        return "" if done.success else str(failures[0].cause)

    return run


@pytest.fixture
def ordered(store, promote) -> dict[str, str]:
    """Two promotions by hand, of which the last has been cut off, head included; what was made of them is stored."""
    versions = []
    for number, week in enumerate(("2016-01-11", "2016-05-30")):
        artifact = make_artifact(seed=number)
        store.models.save(artifact)
        versions.append(artifact.version)
        assert promote(promote_to=artifact.version, effective_week=week, reason="a test") == ""
    log = store.verdicts(NAME)
    head = canonical_json({"count": 1, "sha256": log.history()[0].sha256})
    shutil.copytree(log.folder, Path(store.root) / "backup")
    (log.folder / "000002.json").unlink()
    (log.folder / "head.json").write_bytes(head)
    return dict(zip(("first", "second"), versions, strict=True))


def told(store: StoreResource) -> list[object]:
    return [store.assets.read(asset, NAME) for asset in ASSETS]


def logged(store: StoreResource) -> int:
    return len(list(store.verdicts(NAME).folder.glob("[0-9]*.json")))


def whole(store: StoreResource) -> bool:
    return set(verification(store.court(NAME), set(), store.assets.root)["result"]) == {"verified"}


@pytest.mark.parametrize("assets", [ASSETS, ("promotion_history",)])
def test_a_log_that_was_cut_is_not_promoted_on_and_what_tells_of_it_stays(ordered, store, promote, assets) -> None:
    before = told(store)
    problem = promote(*assets)
    assert "they end with number 1, and promoted_policies of ppo_lstm names number 2" in problem
    assert "restore the folder" in problem
    assert told(store) == before
    assert logged(store) == 1


def test_no_order_is_followed_on_a_log_that_was_cut(ordered, store, promote) -> None:
    order = {"promote_to": ordered["second"], "effective_week": "2016-06-06", "reason": "a test"}
    assert "names number 2" in promote(**order)
    assert logged(store) == 1


def test_other_allocators_are_promoted_meanwhile(ordered, store, promote) -> None:
    artifact = make_artifact(name=OTHER)
    store.models.save(artifact)
    order = {"promote_to": artifact.version, "effective_week": "2016-01-11", "reason": "a test"}
    assert promote(name=OTHER, **order) == ""
    assert store.verdicts(OTHER).champion().champion == artifact.version


def test_restored_from_a_backup_nothing_is_lost(ordered, store, promote) -> None:
    log = store.verdicts(NAME)
    shutil.rmtree(log.folder)
    assert "they end with number 0" in promote()  # to move the log away alone is no way out
    shutil.copytree(Path(store.root) / "backup", log.folder)
    before = told(store)
    assert promote() == ""
    assert told(store) == before
    assert log.champion().champion == ordered["second"]
    assert whole(store)


def test_begun_anew_as_the_docs_say_orders_can_be_given_again(ordered, store, promote) -> None:
    away = Path(store.root) / "away"
    away.mkdir()
    shutil.move(store.verdicts(NAME).folder, away / "log")
    for asset in ASSETS:
        shutil.move(store.assets.root / asset / f"{NAME}.json", away / f"{asset}.json")
    assert promote() == ""
    assert store.verdicts(NAME).history() == []
    for version, week in ((ordered["first"], "2016-01-11"), (ordered["second"], "2016-05-30")):
        assert promote(promote_to=version, effective_week=week, reason="a test") == ""
    assert [verdict.champion for verdict in store.verdicts(NAME).history()] == [*ordered.values()]
    assert whole(store)


@pytest.mark.parametrize("damaged", ASSETS)
def test_what_is_damaged_is_made_again(ordered, store, promote, damaged) -> None:
    log = store.verdicts(NAME)
    shutil.rmtree(log.folder)
    shutil.copytree(Path(store.root) / "backup", log.folder)
    before = told(store)
    next((store.assets.root / damaged).glob("*.payload.json")).write_bytes(b"{}")
    assert promote() == ""
    assert told(store) == before


def test_on_a_log_that_was_cut_no_command_is_followed(ordered, store, settings, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ALLOCATOR_MARKET", "simulated")
    monkeypatch.setenv("ALLOCATOR_DATA_DIR", str(settings.data_dir))
    for command in ("promote", "roll-back"):
        order = [command, NAME, ordered["first"], "--week", "2016-06-06", "--reason", "a test"]
        assert main(order) == 1
        assert "promoted_policies of ppo_lstm names number 2" in capsys.readouterr().err
    assert main(["list", NAME]) == 1
    assert main(["prune", NAME, "--apply"]) == 1
    assert logged(store) == 1


@pytest.fixture
def reported(store, promote, monkeypatch) -> Callable[[str, int, tuple[int, ...]], str]:
    """Store a report that is counted and judge it; return what went wrong."""
    monkeypatch.setattr(promotion, "policy_of", tilted_policy)

    def report(name: str, year: int, slots: tuple[int, ...]) -> str:
        artifact = make_artifact(CUTOFFS[year - 1], slots=slots, name=name)
        store.models.save(artifact)
        value = make_report(artifact.version, year, slots, allocator=name)
        try:
            count_report(store.court(name), value)
        except CorruptArtifactError as error:
            return str(error)
        store.assets.write("state_tensors", f"lstm|{year}", STATES[year])
        store.assets.write("eval_reports", f"{name}|{year}", value)
        return promote(name=name)

    return report


def test_a_ledger_that_was_cut_is_built_upon_by_nobody_and_restored_all_is_well(store, promote, reported) -> None:
    assert (reported(OTHER, 2016, (0, 1)), reported(NAME, 2016, (2, 3))) == ("", "")
    folder, tries = store.ledger.folder, store.ledger.history()
    shutil.copytree(folder, Path(store.root) / "backup")
    (folder / "000002.json").unlink()
    (folder / "head.json").write_bytes(canonical_json({"count": 1, "sha256": tries[0].sha256}))
    assert f"{NAME} in promoted_policies names number 2" in reported(OTHER, 2017, (4, 5))
    assert "names number 2" in promote(name=OTHER)
    assert len(list(folder.glob("[0-9]*.json"))) == 1
    shutil.rmtree(folder)
    shutil.copytree(Path(store.root) / "backup", folder)
    assert reported(OTHER, 2017, (4, 5)) == ""
    assert promote() == ""
    assert [entry.allocator for entry in store.ledger.history()] == [OTHER, NAME, OTHER]
    assert whole(store)
