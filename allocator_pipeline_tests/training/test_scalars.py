from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from allocator_pipeline.training.drive import Observed, drive
from allocator_pipeline.training.drive_sb3 import learn
from allocator_pipeline.training.environments import rows_per_step
from allocator_pipeline.training.scalars import Scalars
from allocator_pipeline_tests.training.brief import brief, make_learner, make_model


def read(folder: Path) -> dict[str, dict[int, float]]:
    events = EventAccumulator(str(folder), purge_orphaned_data=True).Reload()
    return {name: {e.step: e.value for e in events.Scalars(name)} for name in events.Tags()["scalars"]}


def test_an_interrupted_run_is_one_run_without_double_steps(tmp_path: Path) -> None:
    with Scalars(tmp_path) as scalars:
        for step in (10, 20, 30, 40):
            scalars.write({"train/loss": 1.0}, step)
    with Scalars(tmp_path, done=20) as scalars:
        scalars.write({"train/loss": 2.0}, 30)
    assert read(tmp_path) == {"train/loss": {10: 1.0, 20: 1.0, 30: 2.0}}
    with Scalars(tmp_path) as scalars:
        scalars.write({"train/loss": 3.0}, 10)
    assert read(tmp_path) == {"train/loss": {10: 3.0}}


def test_stacked_learners_write_what_they_say(tmp_path: Path) -> None:
    drive(make_learner("ppo", brief("ppo")), Observed("ppo", tensorboard=tmp_path))
    found = read(tmp_path)
    assert {"rollout/reward", "train/loss", "train/std"} <= set(found)
    assert list(found["train/loss"]) == list(range(52, 625, 52))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ppo-reference", {"train/loss", "train/approx_kl", "train/std", "rollout/ep_rew_mean"}),
        ("sac-agents", {"train/actor_loss", "train/critic_loss", "train/ent_coef"}),
    ],
)
def test_stable_baselines3_writes_its_own_names_by_environment_step(kind: str, names: set[str], tmp_path: Path) -> None:
    recipe = brief(kind)
    learn(make_model(recipe), recipe.total_steps, rows_per_step(recipe), Observed(kind, tensorboard=tmp_path))
    found = read(tmp_path)
    assert names <= set(found)
    assert max(max(steps) for steps in found.values()) <= recipe.total_steps


def test_nothing_is_imported_without_a_folder() -> None:
    code = "import sys; from allocator_pipeline.training.scalars import Scalars; Scalars(None).write({'x': 1.0}, 1)"
    check = "assert 'tensorboard' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)
