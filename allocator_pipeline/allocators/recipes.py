"""Named recipes: every number that shapes a training, in one place and without torch.

``reference`` is the plan's table on its flat network. ``default`` is ours, chosen by measurement
(docs/learnability.md): small networks shared by the 15 stocks and CASH, whose output tilts equal weight; several of
them, averaged, and shrunk towards equal weight by what a cross-fit finds. ``default_one`` is one such network, and
``default_sb3`` the same by stable-baselines3: the two show that the fast engine learns the same. A *step* is
always one environment step, that is one portfolio living through one week.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from allocator_pipeline.config import FINETUNE_WEEKS, N_STOCKS, WEEKS_PER_YEAR
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.portfolio.objective import Objective

View = Literal["flat", "agents"]
"""``flat``: one network reads the 136 numbers and returns 16 logits. ``agents``: one network, shared by the 15 stocks
and CASH, reads 10 numbers of its own asset and returns one, added to the logarithm of the asset's equal weight."""

Engine = Literal["sb3", "stacked"]
"""What trains: stable-baselines3, or `allocator_pipeline.learners`, which trains many ``agents`` networks at once."""


@dataclass(frozen=True)
class PPORecipe:
    """Proximal policy optimisation (Schulman et al. 2017) as in stable-baselines3.

    Parameters
    ----------
    name : str
        Name of the recipe.
    view : {"flat", "agents"}
        What one network sees and decides.
    hidden_sizes : tuple of int
        Hidden units of the policy network and, separately, of the value network.
    activation : {"tanh", "relu"}
        Activation of both networks.
    action_bound : float
        A logit lies in [-action_bound, action_bound]; e^bound is the most a tilt multiplies a weight by.
    n_envs : int
        Portfolios that live side by side.
    rollout_steps : int
        Weeks each portfolio lives through between two updates.
    batch_size : int
        Rows of a minibatch; a row is one network decision (16 of them make one step of ``agents``).
    n_epochs : int
        Passes over each rollout.
    total_steps : int
        Environment steps in all; stable-baselines3 completes the last rollout.
    learning_rate : float
        Of Adam.
    decay : bool
        Whether the learning rate falls linearly to 0.
    clip_range : float
        Trust region of the probability ratio.
    gamma, gae_lambda : float
        Discount and generalised advantage estimation; gamma 0 makes each week its own problem.
    log_std_init : float
        Logarithm of the initial standard deviation of the exploration, in logits.
    ent_coef : float
        Weight of the entropy bonus.
    episode_weeks : int
        Weeks after which an episode is truncated.
    critic : bool
        Whether a value network is trained to be the baseline; without one the baseline is 0.
    feature_penalty : float
        Group lasso of the policy's first layer (`allocators.networks.drop_features`): the weights of a
        feature whose gradient is mostly noise are shrunk, sometimes to nothing. ``agents`` only.
    engine : {"sb3", "stacked"}
        What trains.
    members : int
        Networks of different seeds whose weights are averaged; one with ``sb3``.
    folds : int
        Parts of the training weeks in the cross-fit that shrinks the policy towards equal weight
        (`training.crossfit`): one more network learns without each of them. With 0 all of the tilt is served.
        ``stacked`` only.
    objective : Objective
        Penalties and the kind of reward.
    """

    name: str
    view: View
    hidden_sizes: tuple[int, ...]
    activation: Literal["tanh", "relu"]
    action_bound: float
    n_envs: int
    rollout_steps: int
    batch_size: int
    n_epochs: int
    total_steps: int
    learning_rate: float
    decay: bool
    clip_range: float
    gamma: float
    gae_lambda: float
    log_std_init: float = 0.0
    ent_coef: float = 0.0
    episode_weeks: int = WEEKS_PER_YEAR
    critic: bool = True
    feature_penalty: float = 0.0
    engine: Engine = "sb3"
    members: int = 1
    folds: int = 0
    objective: Objective = field(default_factory=Objective)


@dataclass(frozen=True)
class SACRecipe:
    """Soft actor-critic (Haarnoja et al. 2018) as in stable-baselines3.

    Parameters
    ----------
    name : str
        Name of the recipe.
    view : {"flat", "agents"}
        What one network sees and decides.
    actor_sizes, critic_sizes : tuple of int
        Hidden units of the actor and of each of the two critics.
    activation : {"tanh", "relu"}
        Activation of all networks.
    action_bound : float
        A logit lies in [-action_bound, action_bound]; e^bound is the most a tilt multiplies a weight by.
    n_envs : int
        Portfolios that live side by side; one gradient step follows each time that all have lived through a week.
    batch_size : int
        Rows of a minibatch; a row is one network decision (16 of them make one step of ``agents``).
    buffer_steps : int
        Environment steps that the replay buffer holds.
    warmup_steps : int
        Environment steps before the first update.
    warmup : {"random", "policy"}
        What acts in them: chance, or the policy itself (fine-tuning).
    total_steps : int
        Environment steps in all.
    learning_rate : float
        Of actor, critics and alpha alike.
    decay : bool
        Whether the learning rate falls linearly to 0.
    tau : float
        Polyak averaging of the target critics.
    gamma : float
        Discount.
    init_alpha : float
        Initial entropy coefficient; it is then learned.
    weight_decay : float
        L2 penalty of actor and critics; alpha is excluded.
    reward_scale : float
        Multiplies the environment's reward, which sets its weight against the entropy.
    episode_weeks : int
        Weeks after which an episode is truncated.
    feature_penalty : float
        Group lasso of the policy's first layer (`allocators.networks.drop_features`): the weights of a
        feature whose gradient is mostly noise are shrunk, sometimes to nothing. ``agents`` only.
    engine : {"sb3", "stacked"}
        What trains.
    members : int
        Networks of different seeds whose weights are averaged; one with ``sb3``.
    folds : int
        Parts of the training weeks in the cross-fit that shrinks the policy towards equal weight
        (`training.crossfit`): one more network learns without each of them. With 0 all of the tilt is served.
        ``stacked`` only.
    objective : Objective
        Penalties and the kind of reward.
    """

    name: str
    view: View
    actor_sizes: tuple[int, ...]
    critic_sizes: tuple[int, ...]
    activation: Literal["tanh", "relu"]
    action_bound: float
    n_envs: int
    batch_size: int
    buffer_steps: int
    warmup_steps: int
    total_steps: int
    learning_rate: float
    decay: bool
    tau: float
    gamma: float
    init_alpha: float
    weight_decay: float = 0.0
    reward_scale: float = 1.0
    episode_weeks: int = WEEKS_PER_YEAR
    warmup: Literal["random", "policy"] = "random"
    feature_penalty: float = 0.0
    engine: Engine = "sb3"
    members: int = 1
    folds: int = 0
    objective: Objective = field(default_factory=Objective)


@dataclass(frozen=True)
class DPGRecipe:
    """Gradient ascent on the objective through the differentiable market (`learners.dpg`).

    Parameters
    ----------
    name : str
        Name of the recipe.
    view : {"agents"}
        What one network sees and decides.
    hidden_sizes : tuple of int
        Hidden units of the policy network.
    activation : {"tanh", "relu"}
        Its activation.
    action_bound : float
        A logit lies in [-action_bound, action_bound]; e^bound is the most a tilt multiplies a weight by.
    n_envs : int
        Portfolios that live side by side.
    total_steps : int
        Environment steps in all; the last episode is completed.
    learning_rate : float
        Of Adam; one update an episode.
    decay : bool
        Whether the learning rate falls linearly to 0.
    weight_decay : float
        L2 penalty.
    max_grad_norm : float
        The gradient is clipped to this norm.
    episode_weeks : int
        Weeks that the gradient flows through.
    feature_penalty : float
        Group lasso of the policy's first layer (`allocators.networks.drop_features`): the weights of a
        feature whose gradient is mostly noise are shrunk, sometimes to nothing. ``agents`` only.
    engine : {"sb3", "stacked"}
        What trains.
    members : int
        Networks of different seeds whose weights are averaged; one with ``sb3``.
    folds : int
        Parts of the training weeks in the cross-fit that shrinks the policy towards equal weight
        (`training.crossfit`): one more network learns without each of them. With 0 all of the tilt is served.
        ``stacked`` only.
    objective : Objective
        Penalties and the kind of reward.
    """

    name: str
    view: View
    hidden_sizes: tuple[int, ...]
    activation: Literal["tanh", "relu"]
    action_bound: float
    n_envs: int
    total_steps: int
    learning_rate: float
    decay: bool
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    episode_weeks: int = WEEKS_PER_YEAR
    feature_penalty: float = 0.0
    engine: Engine = "stacked"
    members: int = 1
    folds: int = 0
    objective: Objective = field(default_factory=Objective)


Recipe = PPORecipe | SACRecipe | DPGRecipe


@dataclass(frozen=True)
class FinetuneSettings:
    """How a champion is trained further on recent weeks.

    Parameters
    ----------
    weeks : int
        The rolling buffer: weeks known by the decision.
    total_steps : int
        Environment steps.
    learning_rate : float
        Constant.
    episode_weeks : int
        An episode starts at a random week of the buffer and lasts this long, so that recorded starting weights of many
        weeks are used.
    n_envs : int
        Portfolios that live side by side in PPO's ``agents`` view; the others keep their recipe's number.
    fill_steps : int
        Environment steps of the champion's own actions that fill SAC's empty replay buffer before the first update;
        they count among ``total_steps``.
    experience_share : float
        Of what SAC replays, how much is labelled experience, if there is any.
    half_life : float
        In weeks: with labelled experience, an episode starts half as often in a week that lies so much further back.
    recorded_weight : float
        How much more often it starts where experience recorded the portfolio.
    """

    weeks: int = FINETUNE_WEEKS
    total_steps: int = 2_000
    learning_rate: float = 1e-4
    episode_weeks: int = FINETUNE_WEEKS // 2
    n_envs: int = 16
    fill_steps: int = 100
    experience_share: float = 0.25
    half_life: float = 13.0
    recorded_weight: float = 2.0


FINETUNE = FinetuneSettings()

MAX_NETWORKS = 64
"""Of an ensemble, and of a cross-fit."""

PPO_DEFAULT = PPORecipe(
    name="default",
    view="agents",
    hidden_sizes=(8,),
    activation="tanh",
    action_bound=4.0,
    n_envs=10,
    rollout_steps=52,
    batch_size=2_080,  # a quarter of 10 x 52 x 16 rows
    n_epochs=4,
    total_steps=10_400,  # 20 rollouts
    learning_rate=1e-2,
    decay=True,
    clip_range=0.5,
    gamma=0.0,
    gae_lambda=1.0,
    critic=False,
    feature_penalty=1.0,
    engine="stacked",
    members=3,
    folds=8,
)

SAC_DEFAULT = SACRecipe(
    name="default",
    view="agents",
    actor_sizes=(16,),
    critic_sizes=(32, 16),
    activation="relu",
    action_bound=4.0,
    n_envs=16,
    batch_size=256,
    buffer_steps=9_152,
    warmup_steps=800,
    total_steps=9_152,  # 11 episodes: 521 updates
    learning_rate=1e-2,
    decay=True,
    tau=0.05,
    gamma=0.0,
    init_alpha=0.03,
    reward_scale=3.0,
    feature_penalty=2.0,
    engine="stacked",
    members=4,
    folds=8,
)

DPG_DEFAULT = DPGRecipe(
    name="default",
    view="agents",
    hidden_sizes=(16,),
    activation="tanh",
    action_bound=4.0,
    n_envs=40,
    total_steps=31_200,  # 60 updates
    learning_rate=2e-2,
    decay=True,
    weight_decay=1e-2,
    episode_weeks=13,
    feature_penalty=2.0,
    engine="stacked",
    members=4,
    folds=8,
)


def _one(chosen: Recipe) -> Recipe:
    """Return a recipe with one network, not shrunk."""
    return dataclasses.replace(chosen, name=f"{chosen.name}_one", members=1, folds=0)


def _by_sb3(chosen: Recipe) -> Recipe:
    """Return a recipe with one network, trained by stable-baselines3."""
    return dataclasses.replace(_one(chosen), name=f"{chosen.name}_sb3", engine="sb3")


RECIPES: Mapping[tuple[str, str], Recipe] = {
    ("ppo", "reference"): PPORecipe(
        name="reference",
        view="flat",
        hidden_sizes=(64, 64),
        activation="tanh",
        action_bound=5.0,
        n_envs=1,
        rollout_steps=52,
        batch_size=64,
        n_epochs=10,
        total_steps=10_000,
        learning_rate=3e-4,
        decay=False,
        clip_range=0.2,
        gamma=0.99,
        gae_lambda=0.95,
    ),
    ("sac", "reference"): SACRecipe(
        name="reference",
        view="flat",
        actor_sizes=(64, 64),
        critic_sizes=(64, 64),
        activation="relu",
        action_bound=5.0,
        n_envs=1,
        batch_size=64,
        buffer_steps=10_000,
        warmup_steps=100,
        total_steps=10_000,
        learning_rate=3e-4,
        decay=False,
        tau=0.005,
        gamma=0.99,
        init_alpha=0.2,
        weight_decay=1e-4,
    ),
    ("ppo", "default"): PPO_DEFAULT,
    ("sac", "default"): SAC_DEFAULT,
    ("dpg", "default"): DPG_DEFAULT,
    ("ppo", "default_one"): _one(PPO_DEFAULT),
    ("sac", "default_one"): _one(SAC_DEFAULT),
    ("ppo", "default_sb3"): _by_sb3(PPO_DEFAULT),
    ("sac", "default_sb3"): _by_sb3(SAC_DEFAULT),
}
"""Recipes by algorithm and name."""


def recipe(algorithm: str, name: str) -> Recipe:
    """Return a recipe.

    Raises
    ------
    ConfigurationError
        If there is none of that name.
    """
    try:
        return RECIPES[algorithm, name]
    except KeyError:
        raise ConfigurationError(
            f"There is no recipe {name!r} of {algorithm!r}.",
            todo=f"choose one of {', '.join(sorted('/'.join(key) for key in RECIPES))}.",
        ) from None


def algorithm_of_recipe(chosen: Recipe) -> str:
    """Return ``"ppo"``, ``"sac"`` or ``"dpg"``."""
    return {PPORecipe: "ppo", SACRecipe: "sac", DPGRecipe: "dpg"}[type(chosen)]


def finetune_recipe(base: Recipe, settings: FinetuneSettings = FINETUNE) -> Recipe:
    """Return a champion's recipe as fine-tuning uses it: fewer steps at a low constant rate, shorter episodes."""
    changes: dict[str, Any] = {
        "total_steps": settings.total_steps,
        "learning_rate": settings.learning_rate,
        "decay": False,
        "episode_weeks": settings.episode_weeks,
    }
    if isinstance(base, SACRecipe):
        return dataclasses.replace(base, warmup_steps=settings.fill_steps, warmup="policy", **changes)
    if base.view == "agents":
        changes["n_envs"] = settings.n_envs
        if isinstance(base, PPORecipe):
            rows = settings.n_envs * settings.episode_weeks * (N_STOCKS + 1)
            changes |= {"rollout_steps": settings.episode_weeks, "batch_size": rows // 4}
    return dataclasses.replace(base, **changes)


def recipe_values(chosen: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(chosen).items()
    }


def recipe_from_values(algorithm: str, values: Mapping[str, Any]) -> Recipe:
    """Read back what `recipe_values` wrote.

    Raises
    ------
    CorruptArtifactError
        If a value is absent, of another kind or out of all proportion.
    """
    model = RECIPES.get((algorithm, "default"))
    if model is None or not isinstance(values, Mapping):
        raise _corrupt(f"it is not a recipe of {algorithm!r}")
    read = _like(model, values)
    if read.view not in ("flat", "agents") or read.activation not in ("tanh", "relu"):
        raise _corrupt(f"view {read.view!r} or activation {read.activation!r} is unknown")
    if read.engine not in ("sb3", "stacked") or not 1 <= read.members <= MAX_NETWORKS:
        raise _corrupt(f"engine {read.engine!r} with {read.members} members is unknown")
    if not 0 <= read.folds <= MAX_NETWORKS or read.folds == 1:
        raise _corrupt(f"a cross-fit of {read.folds} folds is none")
    if read.feature_penalty < 0 or (read.feature_penalty and read.view == "flat"):
        raise _corrupt(f"a feature penalty of {read.feature_penalty} in the view {read.view!r}")
    return read


def _like(model: Any, values: Mapping[str, Any]) -> Any:
    """Return a dataclass of the model's type from JSON values, each of the kind that the model has there."""
    examples = {item.name: getattr(model, item.name) for item in dataclasses.fields(model)}
    if not isinstance(values, Mapping) or set(values) != set(examples):
        raise _corrupt(f"it is not a {type(model).__name__}")
    read: dict[str, Any] = {}
    for name, example in examples.items():
        if dataclasses.is_dataclass(example):
            read[name] = _like(example, values[name])
            continue
        value = tuple(values[name]) if isinstance(example, tuple) and isinstance(values[name], list) else values[name]
        if type(value) is not type(example):
            raise _corrupt(f"{name} is {value!r}")
        if isinstance(value, int | float) and not abs(value) <= 1e7:  # NaN fails the comparison too
            raise _corrupt(f"{name} is {value!r}")
        if isinstance(value, tuple) and not (len(value) <= 4 and all(type(n) is int and 1 <= n <= 1024 for n in value)):
            raise _corrupt(f"{name} is {value!r}")
        read[name] = value
    try:
        return type(model)(**read)
    except ConfigurationError as error:
        raise _corrupt(error.problem) from error


def _corrupt(problem: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"The stored recipe cannot be used: {problem}.", todo="train the policy again.")
