from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from allocator_pipeline.artifact import Identity
from allocator_pipeline.errors import TrainingDivergedError
from allocator_pipeline.training.checkpoints import Checkpoint
from allocator_pipeline.training.drive import Observed, drive, observe
from allocator_pipeline.training.drive_sb3 import learn
from allocator_pipeline.training.environments import rows_per_step
from allocator_pipeline_tests.training.brief import brief, make_learner, make_model


class Poisoned:
    """A learner in which a number goes wrong at a step."""

    def __init__(self, step: int, tensor: str = "", scalar: str = "") -> None:
        self.real, self.step, self.tensor, self.scalar = make_learner("ppo", brief("ppo")), step, tensor, scalar
        self.actor = self.real.actor

    @property
    def steps(self) -> int:
        return self.real.steps

    @property
    def total_steps(self) -> int:
        return self.real.total_steps

    def advance(self) -> dict[str, float]:
        values = self.real.advance()
        if self.steps >= self.step and self.tensor:
            with torch.no_grad():
                self.real.trained()[self.tensor].view(-1)[0] = float("inf")
        if self.steps >= self.step and self.scalar:
            values[self.scalar] = float("nan")
        return values

    def trained(self) -> dict[str, torch.Tensor]:
        return self.real.trained()

    def position(self) -> dict[str, torch.Tensor]:
        return self.real.position()

    def load_position(self, position: Mapping[str, torch.Tensor]) -> None:
        self.real.load_position(position)


@pytest.mark.parametrize("tensor", ["actor.weight.0", "optimizer.0.exp_avg_sq", "log_std"])
@pytest.mark.parametrize("step", [52, 624])
def test_divergence_names_run_step_and_tensor(tensor: str, step: int, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "x", 0.0)
    with pytest.raises(TrainingDivergedError) as caught:
        drive(Poisoned(step, tensor=tensor), Observed("ppo_lstm 1992 short", checkpoint=checkpoint))
    assert caught.value.problem.startswith("ppo_lstm 1992 short has diverged by step ")
    assert "lower the learning rate" in caught.value.todo
    # the first number that is not finite may be another: networks of inf make the whole next update NaN
    with checkpoint.held():
        fresh = make_learner("ppo", brief("ppo"))
        assert checkpoint.resume(fresh) == (step > 52)
        assert all(torch.isfinite(stored).all() for stored in fresh.trained().values())  # never stored


def test_a_scalar_that_is_not_finite_stops_at_once() -> None:
    learner = Poisoned(104, scalar="train/loss")
    with pytest.raises(TrainingDivergedError, match=r"diverged by step 104: train/loss is not finite"):
        drive(learner, Observed("x"))
    assert learner.steps == 104


@pytest.mark.parametrize("kind", ["ppo-reference", "sac-reference"])
def test_divergence_by_stable_baselines3(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = brief(kind)
    model = make_model(recipe)
    train = type(model).train

    def poisoned(*args: int, **kwargs: int) -> None:
        train(model, *args, **kwargs)
        with torch.no_grad():
            next(model.policy.parameters()).fill_(float("nan"))

    monkeypatch.setattr(model, "train", poisoned)
    with pytest.raises(TrainingDivergedError, match=rf"^{kind} has diverged by step \d+: policy\..* is not finite"):
        learn(model, recipe.total_steps, rows_per_step(recipe), Observed(kind))


def test_a_trained_learner_is_not_trained_further(tmp_path: Path) -> None:
    learner = make_learner("dpg", brief("dpg"))
    drive(learner, Observed("dpg"))
    before = {name: tensor.detach().clone() for name, tensor in learner.trained().items()}
    drive(learner, Observed("dpg"))
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.trained().items())


def test_each_identity_has_its_own_place(tmp_path: Path) -> None:
    identity = Identity("policy", "ppo_lstm", "1992-12-28", {"seed": 1}, "0" * 64)
    observed = observe(identity, "label", checkpoints=tmp_path / "a", tensorboard=tmp_path / "b")
    assert observed.tensorboard == tmp_path / "b" / "ppo_lstm" / identity.version
    assert observed.checkpoint is not None
    assert observed.checkpoint.path == tmp_path / "a" / "ppo_lstm" / f"{identity.version}.safetensors"
    assert observe(identity, "label") == Observed("label")
    assert list(tmp_path.iterdir()) == []
