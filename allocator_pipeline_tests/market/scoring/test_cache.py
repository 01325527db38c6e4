"""Scores that were computed once: shared, whole after every crash, and never believed when damaged."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.errors import ConflictError, CorruptArtifactError
from allocator_pipeline.market.scoring.cache import ScoreCache

SCORES = st.dictionaries(st.text("0123456789abcdef", min_size=1, max_size=64), st.floats(-1, 1), max_size=20)


@given(scores=SCORES, others=SCORES)
@settings(max_examples=25, deadline=None)
def test_what_is_stored_comes_back_to_the_bit(tmp_path_factory, scores, others):
    cache = ScoreCache(tmp_path_factory.mktemp("cache") / "scores.sqlite")
    cache.put(scores, "one")
    cache.put(others, "two")
    assert cache.get(scores, "one") == scores
    assert cache.get(others, "two") == others
    assert cache.get(scores, "three") == {}


def test_a_score_that_is_there_stays(tmp_path):
    cache = ScoreCache(tmp_path / "scores.sqlite")
    cache.put({"a": 0.5}, "one")
    cache.put({"a": -0.5, "b": 0.25}, "one")
    assert cache.get(["a", "b", "c"], "one") == {"a": 0.5, "b": 0.25}


def test_nothing_is_created_by_reading(tmp_path):
    assert ScoreCache(tmp_path / "scores.sqlite").get(["a"], "one") == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("score", [1.5, -2.0, float("nan"), float("inf")])
def test_what_is_no_score_is_refused(tmp_path, score):
    cache = ScoreCache(tmp_path / "scores.sqlite")
    with pytest.raises(ConflictError):
        cache.put({"a": 0.1, "b": score}, "one")
    assert cache.get(["a", "b"], "one") == {}


def test_a_changed_score_is_not_believed(tmp_path):
    cache = ScoreCache(tmp_path / "scores.sqlite")
    cache.put({"a": 0.5}, "one")
    with sqlite3.connect(cache.path) as database:
        database.execute("UPDATE scores SET score = 0.75")
    database.close()
    with pytest.raises(CorruptArtifactError, match="scored again"):
        cache.get(["a"], "one")


@pytest.mark.parametrize(
    "body", [b"not a database, but long enough to be looked at" * 10, b"SQLite format 3\x00" + b"x" * 4096]
)
def test_another_file_is_refused(tmp_path, body):
    (tmp_path / "scores.sqlite").write_bytes(body)
    with pytest.raises(CorruptArtifactError, match="remove it"):
        ScoreCache(tmp_path / "scores.sqlite").get(["a"], "one")


def write(path, first: int, count: int) -> None:
    cache = ScoreCache(path)
    for start in range(first, first + count, 10):
        cache.put({f"{number:04x}": number / 10_000 for number in range(start, start + 10)}, "one")


def test_writers_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "scores.sqlite"
    writers = [context.Process(target=write, args=(path, first, 200)) for first in (0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    wanted = {f"{number:04x}": number / 10_000 for number in range(400)}
    assert ScoreCache(path).get(wanted, "one") == wanted


def test_a_killed_writer_leaves_whole_pieces(tmp_path):
    path = tmp_path / "scores.sqlite"
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, 0, 5000))
    writer.start()
    end = time.monotonic() + 60
    while not ScoreCache(path).get([f"{0:04x}"], "one") and time.monotonic() < end:
        time.sleep(0.01)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    there = ScoreCache(path).get([f"{number:04x}" for number in range(5000)], "one")
    assert len(there) % 10 == 0
    assert there == {f"{number:04x}": number / 10_000 for number in range(len(there))}
    write(path, 0, 50)
    assert len(ScoreCache(path).get([f"{number:04x}" for number in range(5000)], "one")) == max(50, len(there))
