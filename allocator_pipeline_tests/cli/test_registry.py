"""The registry from the terminal, on real folders."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from allocator_pipeline.atomic import canonical_json, publish
from allocator_pipeline.cli.registry import main
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.registry import pruning
from allocator_pipeline.registry.court import Court, open_court
from allocator_pipeline_tests.experience.damage import damage
from allocator_pipeline_tests.faults.test_state_machine import make_decision
from allocator_pipeline_tests.registry.conftest import make_artifact

ROOT = Path(__file__).parents[2]
NAME = "ppo_lstm"


@pytest.fixture
def court(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Court:
    """The court that the commands open."""
    monkeypatch.setenv("ALLOCATOR_DATA_DIR", str(tmp_path))
    return open_court(tmp_path / "sample", NAME)


@pytest.fixture
def years(court) -> list[str]:
    made = [make_artifact(f"20{number}-12-28", seed=number) for number in range(10, 16)]
    for artifact in made:
        court.artifacts.save(artifact)
    return [artifact.version for artifact in made]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def command(*arguments: str) -> tuple[int, str]:
        status = main(arguments)
        captured = capsys.readouterr()
        assert bool(captured.err) == (status != 0)
        return status, captured.err or captured.out

    return command


def test_promote_list_show_and_roll_back(court, years, run) -> None:
    promoted = run("promote", NAME, years[0], "--week", "2016-01-11", "--reason", "To begin with.")
    assert promoted[0] == 0
    assert "To begin with." in promoted[1]
    assert run("promote", NAME, years[1], "--week", "2016-06-06", "--reason", "Newer.")[0] == 0
    assert run("roll-back", NAME, years[0], "--week", "2016-07-11", "--reason", "Older was better.")[0] == 0
    history = court.log.history()
    assert [verdict.champion for verdict in history] == [years[0], years[1], years[0]]
    assert [verdict.kind for verdict in history] == ["promotion", "promotion", "rollback"]
    status, listed = run("list", NAME)
    assert status == 0
    assert all(version in listed for version in years)
    assert "sac_lstm\nnothing" in run("list")[1]
    assert "config.seed" in run("show", NAME, years[0])[1]
    differing = run("diff", NAME, years[0], years[1])[1]
    assert "config.seed" in differing
    assert "config.slots" not in differing


@pytest.mark.parametrize("week", ["2024-13-01", "not a date", "2016-01-12"])
def test_a_week_that_is_none_is_refused_in_words(court, years, run, week) -> None:
    status, told = run("promote", NAME, years[0], "--week", week, "--reason", "a test")
    assert status == 1
    assert "name a week by its Monday, YYYY-MM-DD" in told
    assert court.log.history() == []


def test_list_shows_the_others_and_says_whose_log_is_damaged(court, years, capsys) -> None:
    main(("promote", NAME, years[0], "--week", "2016-01-11", "--reason", "To begin with."))
    other = make_artifact(name="sac_lstm")
    court.artifacts.save(other)
    path = court.log.folder / "000001.json"
    path.write_bytes(path.read_bytes().replace(b"To begin", b"To be in", 1))
    capsys.readouterr()
    assert main(("list",)) == 1
    captured = capsys.readouterr()
    assert f"sac_lstm\n{other.version}" in re.sub(r"\n *version.*\n *", "\n", captured.out)
    assert NAME not in captured.out
    assert f"{NAME} cannot be listed: The verdicts on {NAME} are not what was written" in captured.err
    assert "What to do: restore" in captured.err


def test_the_gate_of_the_environment_applies(court, years, run, monkeypatch) -> None:
    monkeypatch.setenv("ALLOCATOR_PROOF_TO_PROMOTE", "on")
    run("promote", NAME, years[0], "--week", "2016-01-11", "--reason", "To begin with.")
    status, told = run("promote", NAME, years[1], "--week", "2016-06-06", "--reason", "Newer.")
    assert status == 0
    assert "The champion is kept" in told
    assert court.log.champion().champion == years[0]


def test_pruning_shows_first_and_leaves_what_decisions_and_partitions_name(
    court, years, run, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(pruning, "MIN_JUDGED_WEEKS", 1)
    monkeypatch.setattr(pruning, "SETTLING_DAYS", 0)
    market = tmp_path / "sample"
    value = canonical_json({"version": years[1]})
    publish(market / "assets" / "trained_policies" / f"{NAME}+2011.json", value, ".payload.json")
    decided = make_decision("2016-01-11", NAME, 1, 1)
    store = ExperienceStore(market / "experience.sqlite")
    store.record_decision(type(decided)(**{**vars(decided), "policy_version": years[2]}))
    status, shown = run("prune", NAME, "--keep", "1")
    assert status == 0
    assert shown.index("To be removed") < shown.index(years[0])
    assert court.artifacts.versions(NAME) == years
    assert run("prune", NAME, "--keep", "1", "--apply")[0] == 0
    assert court.artifacts.versions(NAME) == [years[1], years[2], years[5]]
    assert "Nothing to remove" in run("prune", NAME, "--keep", "1", "--apply")[1]
    assert run("verify", NAME)[0] == 0
    damage(store, "superseded = '['")
    for command in ("verify", "prune"):
        status, told = run(command, NAME)
        assert status == 1
        assert f"The row of {decided.run_id} cannot be trusted" in told


def test_what_is_wrong_is_one_line_on_standard_error(court, years, run) -> None:
    assert run("verify")[0] == 0
    (court.artifacts.root / NAME / years[3] / "policy.json").write_bytes(b"{}")
    status, told = run("verify")
    assert status == 1
    assert years[3] in told
    assert "What to do" in told
    assert run("show", NAME, "v2015-12-28-abcdef")[0] == 1
    assert run("prune", NAME)[0] == 1
    assert run("show", NAME, "../../etc")[0] == 1


def test_an_unknown_allocator_is_refused(court, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["list", "nobody"])
    assert "invalid choice" in capsys.readouterr().err


def test_it_runs_as_a_module(court, years, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "allocator_pipeline.cli", "list", NAME],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert years[0] in done.stdout
