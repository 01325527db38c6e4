from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.training import progress
from allocator_pipeline.training.progress import REPORTS, Meter, duration


@given(total=st.integers(1, 10_000), jumps=st.lists(st.integers(1, 2_000), min_size=1))
def test_each_message_is_of_a_further_tenth_and_the_end_is_one(total: int, jumps: list[int]) -> None:
    heard: list[str] = []
    meter = Meter("ppo", total, 0, heard.append)
    done = 0
    while done < total:
        done = min(total, done + jumps[done % len(jumps)])
        assert meter.reached(done) == bool(heard and heard[-1].startswith(f"ppo: {done:,} of {total:,} steps, "))
    told = [int(message.split()[1].replace(",", "")) * REPORTS // total for message in heard]
    assert told == sorted(set(told))
    assert told[-1] == REPORTS
    assert re.fullmatch(rf"ppo: {total:,} of {total:,} steps, [\d,.]+ steps/s, done in [\d.]+ s", heard[-1])


def test_says_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    heard: list[str] = []
    meter = Meter("ppo_lstm 2019 default", 20_800, 5_200, heard.append)
    now[0] += 0.1
    assert not meter.reached(5_300)
    assert meter.reached(10_400)  # 5,200 steps in 0.1 s
    assert heard == ["ppo_lstm 2019 default: 10,400 of 20,800 steps, 52,000 steps/s, 0.2 s left"]


def test_a_slow_training_is_heard_of_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    heard: list[str] = []
    meter = Meter("sac", 100_000, 0, heard.append)
    for done in range(1, 61):
        now[0] = float(done)
        meter.reached(done)
    assert len(heard) == 6
    assert heard[0] == "sac: 10 of 100,000 steps, 1.0 steps/s, 27 h 46 min left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7_500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
