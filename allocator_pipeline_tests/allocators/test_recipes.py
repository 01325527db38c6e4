from __future__ import annotations

import json
import subprocess
import sys

import pytest

from allocator_pipeline.allocators.recipes import (
    FINETUNE,
    RECIPES,
    PPORecipe,
    SACRecipe,
    finetune_recipe,
    recipe,
    recipe_from_values,
    recipe_values,
)
from allocator_pipeline.config import ALGORITHMS, PLANNED_ALGORITHMS
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError


def test_reference_is_the_plans_table() -> None:
    """Every number of the plan, so that none is changed unnoticed."""
    ppo, sac = recipe("ppo", "reference"), recipe("sac", "reference")
    assert isinstance(ppo, PPORecipe)
    assert isinstance(sac, SACRecipe)
    assert (ppo.view, ppo.hidden_sizes, ppo.activation) == ("flat", (64, 64), "tanh")
    assert (ppo.learning_rate, ppo.decay, ppo.clip_range) == (3e-4, False, 0.2)
    assert (ppo.gae_lambda, ppo.gamma, ppo.n_epochs) == (0.95, 0.99, 10)
    assert (ppo.batch_size, ppo.rollout_steps, ppo.total_steps) == (64, 52, 10_000)
    assert (sac.view, sac.actor_sizes, sac.critic_sizes) == ("flat", (64, 64), (64, 64))
    assert (sac.learning_rate, sac.decay, sac.tau, sac.gamma) == (3e-4, False, 0.005, 0.99)
    assert (sac.init_alpha, sac.batch_size, sac.buffer_steps) == (0.2, 64, 10_000)
    assert (sac.warmup_steps, sac.weight_decay, sac.total_steps) == (100, 1e-4, 10_000)
    assert ppo.episode_weeks == sac.episode_weeks == 52
    assert (FINETUNE.weeks, FINETUNE.total_steps, FINETUNE.learning_rate) == (26, 2_000, 1e-4)


def test_planned_algorithms_are_those_with_a_reference() -> None:
    assert sorted(PLANNED_ALGORITHMS) == sorted(algorithm for algorithm, name in RECIPES if name == "reference")
    assert all((algorithm, "default") in RECIPES for algorithm in ALGORITHMS)


@pytest.mark.parametrize("algorithm", PLANNED_ALGORITHMS)
def test_default_by_stable_baselines3_is_one_member_of_the_default(algorithm: str) -> None:
    ours, other = recipe_values(recipe(algorithm, "default")), recipe_values(recipe(algorithm, "default_sb3"))
    assert {name for name in ours if ours[name] != other[name]} == {"name", "engine", "members", "folds"}
    assert (other["engine"], other["members"], other["folds"]) == ("sb3", 1, 0)


def test_default_ppo_fills_its_rollouts_and_batches() -> None:
    chosen = recipe("ppo", "default")
    assert isinstance(chosen, PPORecipe)
    rollout = chosen.n_envs * chosen.rollout_steps
    assert chosen.total_steps % rollout == 0
    assert 16 * rollout % chosen.batch_size == 0


@pytest.mark.parametrize("key", RECIPES)
def test_round_trip(key: tuple[str, str]) -> None:
    chosen = RECIPES[key]
    assert recipe_from_values(key[0], json.loads(json.dumps(recipe_values(chosen)))) == chosen


@pytest.mark.parametrize("key", RECIPES)
def test_finetuning_keeps_the_network_and_the_problem(key: tuple[str, str]) -> None:
    base, tuned = RECIPES[key], finetune_recipe(RECIPES[key])
    assert (tuned.total_steps, tuned.learning_rate, tuned.decay) == (2_000, 1e-4, False)
    assert tuned.episode_weeks < FINETUNE.weeks
    for name in ("view", "activation", "action_bound", "engine", "members", "objective", "gamma"):
        assert getattr(tuned, name, None) == getattr(base, name, None)
    assert finetune_recipe(tuned) == tuned


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="dpg/default, ppo/default, ppo/default_one, ppo/default_sb3"):
        recipe("ppo", "fastest")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_sizes": [10**9]},
        {"hidden_sizes": [16] * 9},
        {"hidden_sizes": "16"},
        {"hidden_sizes": [True]},
        {"learning_rate": "fast"},
        {"learning_rate": float("nan")},
        {"n_envs": 10**12},
        {"n_envs": 4.0},
        {"decay": 1},
        {"view": "none"},
        {"activation": "__import__('os')"},
        {"more": 1},
        {"engine": "other"},
        {"members": 0},
        {"members": 65},
        {"objective": None},
        {"objective": {"turnover": 1.0}},
        {"objective": recipe_values(recipe("ppo", "default"))["objective"] | {"turnover": -1.0}},
    ],
)
def test_stored_nonsense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CorruptArtifactError, match="stored recipe"):
        recipe_from_values("ppo", recipe_values(recipe("ppo", "default")) | change)


def test_another_algorithm_is_refused() -> None:
    with pytest.raises(CorruptArtifactError):
        recipe_from_values("sac", recipe_values(recipe("ppo", "default")))
    with pytest.raises(CorruptArtifactError):
        recipe_from_values("dqn", {})


def test_reading_recipes_does_not_import_torch() -> None:
    code = "import sys; from allocator_pipeline.allocators import recipes, slots; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
