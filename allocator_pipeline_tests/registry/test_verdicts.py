"""The verdict log: linear, sealed, judged once, champion as of a week."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.errors import ConflictError, CorruptArtifactError, UnsafeNameError
from allocator_pipeline.registry import chain
from allocator_pipeline.registry.chain import GENESIS
from allocator_pipeline.registry.verdicts import Verdict, VerdictLog
from allocator_pipeline_tests.registry.conftest import make_ruling


def fill(log: VerdictLog, count: int) -> list[Verdict]:
    for number in range(count):
        log.append(make_ruling(f"s{number}", f"20{10 + number}-01-04" if number else "2010-01-04"), after=number)
    return log.history()


def test_an_empty_log(log: VerdictLog) -> None:
    assert log.history() == []
    assert log.champion_at("2020-01-06") is None
    assert log.judged("a") is None


def test_verdicts_are_numbered_and_chained(log: VerdictLog) -> None:
    history = fill(log, 3)
    assert [verdict.number for verdict in history] == [1, 2, 3]
    assert [verdict.previous_sha256 for verdict in history] == [GENESIS, history[0].sha256, history[1].sha256]
    assert log.judged("s1") == history[1]


def test_append_is_compare_and_set(log: VerdictLog) -> None:
    fill(log, 2)
    assert log.append(make_ruling("late"), after=1) is None
    assert log.append(make_ruling("s0"), after=2) is None  # judged before
    assert len(log.history()) == 2


def test_a_source_is_judged_once(log: VerdictLog) -> None:
    asked = []

    def judge(history: list[Verdict]) -> object:
        asked.append(len(history))
        return make_ruling("a")

    first = log.rule("a", judge)
    assert log.rule("a", judge) == first
    assert asked == [0]


def test_the_judge_is_asked_again_if_another_verdict_came_in(log: VerdictLog) -> None:
    asked = []

    def judge(history: list[Verdict]) -> object:
        asked.append(len(history))
        if len(asked) == 1:
            log.append(make_ruling("other"), after=0)
        return make_ruling("a", prior=history[-1].champion if history else None)

    verdict = log.rule("a", judge)
    assert asked == [0, 1]
    assert (verdict.number, verdict.prior) == (2, "v2015-12-28-other")


def test_the_judge_must_speak_about_the_source(log: VerdictLog) -> None:
    with pytest.raises(ConflictError, match="another source"):
        log.rule("a", lambda history: make_ruling("b"))


def test_champion_as_of_a_week(log: VerdictLog) -> None:
    log.append(make_ruling("old", "2016-01-11"), after=0)
    log.append(make_ruling("new", "2018-01-08", prior="v2015-12-28-old"), after=1)
    log.append(make_ruling("late", "2017-01-09", prior="v2015-12-28-old"), after=2)  # an old year judged last
    champions = {
        week: log.champion_at(week) for week in ("2016-01-04", "2016-01-11", "2017-01-02", "2017-06-05", "2022-01-03")
    }
    assert {week: verdict and verdict.candidate[-4:] for week, verdict in champions.items()} == {
        "2016-01-04": None,
        "2016-01-11": "-old",
        "2017-01-02": "-old",
        "2017-06-05": "late",
        "2022-01-03": "-new",
    }


def test_a_kept_champion_stays(log: VerdictLog) -> None:
    log.append(make_ruling("a", "2016-01-11"), after=0)
    log.append(make_ruling("b", "2017-01-09", prior="v2015-12-28-a", outcome="kept"), after=1)
    verdict = log.champion_at("2017-01-09")
    assert verdict is not None
    assert (verdict.champion, verdict.promoted) == ("v2015-12-28-a", False)


def test_the_first_verdict_cannot_keep(log: VerdictLog) -> None:
    with pytest.raises(ConflictError, match="no champion to keep"):
        log.append(make_ruling(outcome="kept"), after=0)
    with pytest.raises(ConflictError, match="outcome"):
        log.append(make_ruling(outcome="maybe"), after=0)
    assert log.history() == []


def test_tampering_is_found(log: VerdictLog) -> None:
    history = fill(log, 4)
    paths = {number: log.folder / f"{number:06d}.json" for number in range(1, 5)}
    whole = {path: path.read_bytes() for path in [*paths.values(), log.folder / "head.json"]}

    def resealed(number: int, **changes: object) -> bytes:
        return replace(history[number - 1], **changes).to_bytes()

    edited = json.loads(whole[paths[2]]) | {"candidate": "v1999-01-01-evil"}
    damages = {
        "edited": (paths[2], canonical_json(edited)),
        "edited and sealed anew": (paths[2], resealed(2, candidate="v1999-01-01-evil")),
        "the last one edited and sealed anew": (paths[4], resealed(4, candidate="v1999-01-01-evil")),
        "of another allocator": (paths[1], resealed(1, allocator="sac_lstm")),
        "other white space": (paths[3], whole[paths[3]].replace(b",", b", ", 1)),
        "swapped": (paths[2], whole[paths[3]]),
        "middle removed": (paths[2], None),
        "last removed": (paths[4], None),
        "added": (log.folder / "000009.json", whole[paths[4]]),
        "odd name": (log.folder / "1x.json", b"{}"),
        "not json": (paths[1], b"\xff"),
        "a list": (paths[1], b"[]"),
        "head damaged": (log.folder / "head.json", b"{}"),
        "head removed": (log.folder / "head.json", None),
        "head of another": (log.folder / "head.json", canonical_json({"count": 4, "sha256": history[2].sha256})),
    }
    for name, (path, payload) in damages.items():
        if payload is None:
            path.unlink()
        else:
            path.write_bytes(payload)
        with pytest.raises(CorruptArtifactError, match="not what was written"):
            log.history()
        with pytest.raises(CorruptArtifactError):
            log.append(make_ruling("more"), after=4)
        for other, content in whole.items():
            other.write_bytes(content)
        for extra in set(log.folder.glob("*.json")) - set(whole):
            extra.unlink()
        assert log.history() == history, name


def test_a_head_may_be_one_link_behind_and_absent_beside_the_first_only(log: VerdictLog) -> None:
    """A process that dies between a link and its head leaves a log that goes on."""
    (first,) = fill(log, 1)
    (log.folder / "head.json").unlink()
    assert log.history() == [first]
    head = log.append(make_ruling("s1", prior=first.champion), after=1)
    assert log.history() == [first, head]


def test_two_deaths_before_a_head_leave_a_log(log: VerdictLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head that the first death left out is made up for before a second link, whose own may be left out too."""
    log.rule("a" * 64, lambda history: replace(make_ruling(), source_sha256="a" * 64))
    (log.folder / "head.json").unlink()

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(chain, "create_bytes", die)
    with pytest.raises(KeyboardInterrupt):
        log.rule("b" * 64, lambda history: replace(make_ruling(), source_sha256="b" * 64))
    assert json.loads((log.folder / "head.json").read_bytes())["count"] == 1
    assert len(log.history()) == 1


def test_equal_verdicts_give_equal_bytes(tmp_path, log: VerdictLog) -> None:
    other = VerdictLog(tmp_path / "elsewhere", "ppo_lstm")
    assert [verdict.to_bytes() for verdict in fill(log, 3)] == [verdict.to_bytes() for verdict in fill(other, 3)]
    assert (log.folder / "000003.json").read_bytes() == (other.folder / "000003.json").read_bytes()


def test_allocators_have_logs_of_their_own(tmp_path) -> None:
    VerdictLog(tmp_path, "ppo_lstm").append(make_ruling(), after=0)
    assert VerdictLog(tmp_path, "sac_lstm").history() == []
    with pytest.raises(UnsafeNameError):
        VerdictLog(tmp_path, "../x")
