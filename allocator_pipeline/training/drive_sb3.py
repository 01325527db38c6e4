"""Drives a stable-baselines3 model to the end of its recipe, and continues one where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

from allocator_pipeline.errors import CorruptArtifactError, WeightsError
from allocator_pipeline.portfolio.agents_env import AgentsVecEnv
from allocator_pipeline.portfolio.random_state import generator_state, json_array, load_generator
from allocator_pipeline.portfolio.vec_env import PortfolioVecEnv
from allocator_pipeline.training.drive import Observed, refuse_divergence
from allocator_pipeline.training.models import Model, training_state
from allocator_pipeline.training.progress import Meter
from allocator_pipeline.training.scalars import sb3_logger

REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
COUNTERS = ("num_timesteps", "_n_updates", "_episode_num")


class ResumableModel:
    """A model between two rollouts, as tensors: what `checkpoints.Resumable` asks for.

    Parameters
    ----------
    model : PPO or SAC
        On one of our environments.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        env = model.env
        assert isinstance(env, PortfolioVecEnv | AgentsVecEnv)  # noqa: S101  (for mypy: build_model wraps nothing)
        self.env = env

    def trained(self) -> dict[str, torch.Tensor]:
        """Return networks, optimisers and alpha, the model's own tensors."""
        networks = {f"policy.{name}": tensor for name, tensor in self.model.policy.state_dict().items()}
        return {**networks, **training_state(self.model)}

    def position(self) -> dict[str, torch.Tensor]:
        """Return counters, environment, replay buffer and the state of all random numbers."""
        model = self.model
        arrays: dict[str, Any] = {f"env.{name}": array for name, array in self.env.state().items()}
        arrays["last_obs"], arrays["last_starts"] = model._last_obs, model._last_episode_starts
        arrays["counters"] = json_array({name: int(getattr(model, name, 0)) for name in COUNTERS})
        arrays["numpy"] = _numpy_state()
        arrays["actions"] = generator_state(model.action_space.np_random)
        if isinstance(model, SAC):
            buffer = self._replay()
            filled = buffer.size()
            arrays |= {f"replay.{name}": getattr(buffer, name)[:filled] for name in REPLAY}
            arrays["replay_at"] = np.array([buffer.pos, int(buffer.full)])
        tensors = {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}
        return {**tensors, "torch": torch.get_rng_state()}

    def load_position(self, position: Mapping[str, torch.Tensor]) -> None:
        """Continue from a position.

        Raises
        ------
        CorruptArtifactError
            If it is not one of this model and environment.
        """
        model, arrays = self.model, {name: tensor.numpy() for name, tensor in position.items() if name != "torch"}
        env = {name.removeprefix("env."): array for name, array in arrays.items() if name.startswith("env.")}
        self._check(arrays, env)
        counters = json.loads(arrays["counters"].tobytes())
        self.env.load_state(env)
        load_generator(model.action_space.np_random, arrays["actions"])
        _load_numpy_state(arrays["numpy"])
        torch.set_rng_state(position["torch"])
        for name in COUNTERS:
            setattr(model, name, counters[name])
        model._last_obs, model._last_episode_starts = arrays["last_obs"].copy(), arrays["last_starts"].copy()
        if isinstance(model, SAC):
            buffer = self._replay()
            for name in REPLAY:
                stored = arrays[f"replay.{name}"]
                getattr(buffer, name)[: len(stored)] = stored
            buffer.pos, buffer.full = int(arrays["replay_at"][0]), bool(arrays["replay_at"][1])

    def _replay(self) -> Any:
        return self.model.replay_buffer  # type: ignore[union-attr]

    def _check(self, arrays: Mapping[str, np.ndarray], env: Mapping[str, np.ndarray]) -> None:
        names = {
            "counters",
            "numpy",
            "actions",
            "last_obs",
            "last_starts",
            *(f"env.{name}" for name in self.env.state()),
        }
        shapes: dict[str, tuple[int, ...]] = {"last_obs": (self.env.num_envs, *self.env.observation_space.shape)}  # type: ignore[misc]
        shapes |= {f"env.{name}": array.shape for name, array in self.env.state().items() if name != "generator"}
        if isinstance(self.model, SAC):
            names |= {"replay_at", *(f"replay.{name}" for name in REPLAY)}
        fits = set(arrays) == names and all(arrays[name].shape == shape for name, shape in shapes.items())
        if not fits:
            raise CorruptArtifactError("The position is not one of this model.", todo="train from the start.")


def _numpy_state() -> np.ndarray:
    """Return where numpy's global generator stands, from which stable-baselines3 draws minibatches, uint8."""
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002  (it is what stable-baselines3 uses)
    return json_array({**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}})


def _load_numpy_state(stored: np.ndarray) -> None:
    state = json.loads(stored.tobytes())
    state["state"]["key"] = np.array(state["state"]["key"], dtype=np.uint32)
    np.random.set_state(state)  # noqa: NPY002  (it is what stable-baselines3 uses)


class Watch(BaseCallback):
    """Reports, refuses divergence, and writes checkpoints where a rollout starts: nothing is half done there.

    Parameters
    ----------
    total_steps : int
        Environment steps in all.
    rows : int
        Network decisions in one environment step.
    observed : Observed
    """

    def __init__(self, total_steps: int, rows: int, observed: Observed) -> None:
        super().__init__()
        self.total_steps, self.rows, self.observed = total_steps, rows, observed
        self.meter: Meter | None = None

    def _init_callback(self) -> None:
        if self.meter is None:  # SAC's fine-tuning calls `learn` twice
            done = self.model.num_timesteps // self.rows
            self.meter = Meter(self.observed.label, self.total_steps, done, self.observed.progress)
            self.resumable = ResumableModel(self.model)  # type: ignore[arg-type]

    def _on_rollout_start(self) -> None:
        self.observed.save(self.resumable, self.num_timesteps // self.rows)

    def _on_step(self) -> bool:
        done = self.num_timesteps // self.rows
        if self.meter is not None and self.meter.reached(done):
            refuse_divergence(self.resumable.trained(), self.observed.label, done)
        return True


def learn(model: Model, total_steps: int, rows: int, observed: Observed, fill_steps: int = 0) -> None:
    """Train a model for a number of environment steps; the last rollout is completed.

    Killed at any moment and started again with the same checkpoint, it ends with the same bits.

    Parameters
    ----------
    model : PPO or SAC
        Untrained, or with the tensors of a policy that is trained further; changed in place.
    total_steps : int
        Environment steps in all.
    rows : int
        Network decisions in one environment step.
    observed : Observed
    fill_steps : int
        How many of the steps only fill SAC's replay buffer with what the model itself does.

    Raises
    ------
    TrainingDivergedError
        If a tensor is not finite, at the latest at the end.
    StorageError
        If a checkpoint cannot be written.
    """
    resumable = ResumableModel(model)
    with observed.held():
        if observed.resume(resumable):
            observed.tell_resumed(model.num_timesteps // rows, total_steps)
        done = model.num_timesteps // rows
        if observed.tensorboard is not None:
            model.set_logger(sb3_logger(observed.tensorboard, done, rows))
        try:
            _learn(model, total_steps * rows, fill_steps * rows, Watch(total_steps, rows, observed))
        except (ValueError, WeightsError):  # torch refuses a distribution, and our market weights, of NaN
            refuse_divergence(resumable.trained(), observed.label, model.num_timesteps // rows)
            raise
        finally:
            if observed.tensorboard is not None:
                model.logger.close()
    refuse_divergence(resumable.trained(), observed.label, model.num_timesteps // rows)


def _learn(model: Model, total: int, fill: int, watch: Watch) -> None:
    # SAC logs after every so many episodes: with all environments in step, that is once when they end.
    logs = None if watch.observed.tensorboard is None else (model.n_envs if isinstance(model, SAC) else 1)
    if isinstance(model, SAC) and model.num_timesteps < fill:
        updates, model.gradient_steps = model.gradient_steps, 0
        _go_on(model, fill, watch, logs)
        model.gradient_steps = updates
    _go_on(model, total, watch, logs)


def _go_on(model: Model, until: int, watch: Watch, logs: int | None) -> None:
    """Train until so many timesteps are done; the environment is reset only at the very beginning."""
    done = model.num_timesteps
    model.learn(until - done, callback=watch, log_interval=logs, reset_num_timesteps=done == 0)  # type: ignore[arg-type]
