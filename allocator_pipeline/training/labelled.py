"""What a fine-tune takes from labelled experience: where episodes start, and transitions for SAC's replay buffer.

The account is too small to move prices, so the market tells what any weights would have earned in a past week. An
on-policy learner therefore needs of the record only what the market cannot tell: the portfolio that was really held.
PPO's and DPG's episodes start from it, more often in recent and in recorded weeks, and go on with actions of their
own, so that PPO's probability ratio is one of its own policy. Recorded actions are those of an ensemble, shrunk, or of
the anchor: in that ratio they would need importance weights that no member has, and imitating them (as by
advantage-weighted regression, Peng et al. 2019, arXiv:1910.00177) would shrink the policy once more with each
fine-tune. SAC learns off policy: its replay buffer takes the recorded actions as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import FinetuneSettings, SACRecipe
from allocator_pipeline.allocators.slots import reorder, slot_order
from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CASH, CostConfig
from allocator_pipeline.portfolio.agents_env import agent_logits, agent_rewards
from allocator_pipeline.portfolio.constraints import N_ASSETS, logits_near
from allocator_pipeline.portfolio.rollout import in_slots, settle
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline.portfolio.transition import Transition


@dataclass(frozen=True)
class Replay:
    """E recorded weeks as SAC remembers them, in rows of its network: R = 16 of ``agents``, 1 of ``flat``.

    Parameters
    ----------
    inputs, after : ndarray of float32, shape (E, R, F)
        What was seen, and what was seen then.
    actions : ndarray, shape (K, E, 16)
        What each of K members would have had to do, in [-1, 1].
    rewards : ndarray, shape (E, R)
        Scaled by the recipe.
    share : float
        Of what the learner replays, how much is this.
    """

    inputs: np.ndarray
    after: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    share: float


@dataclass(frozen=True)
class Lived:
    """Labelled weeks among those that a fine-tune learns from.

    Parameters
    ----------
    transitions : tuple of Transition
    left_out : tuple of str
        Run ids whose universe or reward is not that of the state tensors any more: prices were restated since.
    """

    transitions: tuple[Transition, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def starting(self) -> dict[str, Mapping[str, float]]:
        """The portfolio known at the decision of each week."""
        return {lived.week: lived.known for lived in self.transitions}

    def start_weights(self, weeks: StateTensors, settings: FinetuneSettings) -> np.ndarray | None:
        """Return how often an episode starts in each week that leaves room for it; None without experience.

        The weight halves every ``settings.half_life`` weeks back, and is ``settings.recorded_weight`` times as great
        where a portfolio was recorded.
        """
        if not self.transitions:
            return None
        starts = len(weeks) - settings.episode_weeks + 1
        recorded = np.isin(_names(weeks)[:starts], list(self.starting))
        recent = 0.5 ** (np.arange(starts)[::-1] / settings.half_life)
        return recent * np.where(recorded, settings.recorded_weight, 1.0)

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        runs = [lived.run_id for lived in self.transitions]
        return {
            "labelled_weeks": len(runs),
            "first_week": self.transitions[0].week if runs else None,
            "last_week": self.transitions[-1].week if runs else None,
            "run_ids_sha256": sha256(canonical_json(runs)),
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True)
class Recalled:
    """Experience in the form that the learners take.

    Parameters
    ----------
    starting : mapping of str to Holdings
        What is held when an episode starts in a week.
    start_weights : ndarray, optional
        How often that is.
    replay : Replay, optional
        SAC's alone.
    """

    starting: Mapping[str, Mapping[str, float]]
    start_weights: np.ndarray | None = None
    replay: Replay | None = None


def lived_through(transitions: Sequence[Transition], weeks: StateTensors, costs: CostConfig) -> Lived:
    """Return the experience of some weeks, without what the state tensors contradict.

    Parameters
    ----------
    transitions : sequence of Transition
        Any weeks, in order.
    weeks : StateTensors
        The weeks a fine-tune learns from, all known.
    costs : CostConfig
    """
    rows = {name: row for row, name in enumerate(_names(weeks))}
    within = [lived for lived in transitions if lived.week in rows]
    agrees = [_agrees(lived, weeks, rows[lived.week], costs) for lived in within]
    return Lived(
        tuple(lived for lived, kept in zip(within, agrees, strict=True) if kept),
        tuple(lived.run_id for lived, kept in zip(within, agrees, strict=True) if not kept),
    )


def recall(lived: Lived, prior: Policy, weeks: StateTensors, settings: FinetuneSettings) -> Recalled:
    """Return experience for the learners that train a policy further.

    Parameters
    ----------
    lived : Lived
    prior : Policy
        Its scaler and slots are those of the replay; its own actions choose among those that give the same weights.
    weeks : StateTensors
        With symbols in the slots of the prior.
    settings : FinetuneSettings
    """
    replayed = isinstance(prior.recipe, SACRecipe) and prior.recipe.objective.off and bool(lived.transitions)
    return Recalled(
        lived.starting,
        lived.start_weights(weeks, settings),
        _replay(lived.transitions, prior, weeks, settings.experience_share) if replayed else None,
    )


def _replay(transitions: Sequence[Transition], prior: Policy, weeks: StateTensors, share: float) -> Replay:
    rows = {name: row for row, name in enumerate(_names(weeks))}
    inputs, after, actions, rewards = [], [], [], []
    for lived in transitions:
        row = rows[lived.week]
        symbols, following = weeks.symbols[row], weeks.symbols[min(row + 1, len(weeks) - 1)]
        before = reorder(lived.before, slot_order(symbols, lived.before.symbols))
        inputs.append(_rows(prior, before))
        after.append(_rows(prior, reorder(lived.after, slot_order(following, lived.after.symbols))))
        actions.append(_actions(lived, prior, before))
        rewards.append(_rewards(lived, prior, symbols, weeks.returns[row]))
    return Replay(np.stack(inputs), np.stack(after), np.stack(actions, axis=1), np.stack(rewards), share)


def _rows(prior: Policy, observation: Observation) -> np.ndarray:
    """Return what the network sees, shape (R, F)."""
    seen = prior.inputs(observation)
    return seen.reshape(-1, seen.shape[-1])


def _actions(lived: Transition, prior: Policy, before: Observation) -> np.ndarray:
    """Return what each member would have had to do for the recorded weights, in [-1, 1], shape (K, 16)."""
    target = np.array([lived.action[name] for name in [*before.symbols.tolist(), CASH]])
    logits = logits_near(target, prior.logits(before), prior.costs)
    base = agent_logits(np.zeros(N_ASSETS), prior.costs) if prior.recipe.view == "agents" else 0.0
    return np.clip((logits - base) / prior.recipe.action_bound, -1.0, 1.0)


def _rewards(lived: Transition, prior: Policy, symbols: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Return what each row of the network was paid, shape (R,): an agent its part, a flat network the recorded sum."""
    if prior.recipe.view == "flat":
        return np.array([lived.reward])
    held, left = in_slots(lived.held, symbols)
    target = np.array([lived.action[name] for name in [*symbols.tolist(), CASH]])
    scale = prior.recipe.reward_scale if isinstance(prior.recipe, SACRecipe) else 1.0
    return scale * agent_rewards(target[None], held[None], np.array([left]), returns[None], prior.costs)[0]


def _agrees(lived: Transition, weeks: StateTensors, row: int, costs: CostConfig) -> bool:
    """Return whether the state tensors hold the recorded universe and pay the recorded reward."""
    symbols = weeks.symbols[row].tolist()
    if set(lived.action) != {*symbols, CASH} or set(lived.before.symbols.tolist()) != set(symbols):
        return False
    target = np.array([lived.action[name] for name in [*symbols, CASH]])
    paid = settle(target, symbols, lived.held, weeks.returns[row], costs)
    return math.isclose(paid.reward, lived.reward, rel_tol=1e-9, abs_tol=1e-9)


def _names(weeks: StateTensors) -> list[str]:
    return weeks.weeks.astype("datetime64[D]").astype(str).tolist()
