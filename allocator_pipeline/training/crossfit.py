"""Cross-fitted shrinkage: how much of a policy's tilt the training weeks themselves justify.

The training weeks are cut into folds; a network trained without a fold decides its weeks. The t statistic of what these
networks earned above equal weight, net of costs, over all the weeks, sets the share of the tilt that the policy trained
on everything is served with: ``s = min(1, max(0, t - 1/2))``. On noise most policies come out as equal weight.

What a share costs or earns is proportional to it, so that it would be right to serve all where a gain is to be expected
and nothing elsewhere. The ramp does that without a cliff; it takes the place of t = 1, where the positive-part
James-Stein factor for one mean, ``1 - 1/t^2`` (Efron & Morris 1973, JASA 68), begins. docs/learnability.md compares
rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from allocator_pipeline.allocators.policy import Policy, Shrinkage
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import equal_weights
from allocator_pipeline.portfolio.state import StateTensors

NO_EVIDENCE = 0.5
"""A t statistic up to this serves nothing; all is served from 1 above it."""

_NO_DEVIATION = 1e-12  # what rounding leaves of returns that do not vary


class FoldOfWeeks(NamedTuple):
    """A part of the training weeks, and all others: what a network of the cross-fit judges and learns from."""

    unseen: StateTensors
    rest: StateTensors


def folds(weeks: StateTensors, count: int) -> list[FoldOfWeeks]:
    """Cut successive weeks into so many parts of equal length (to a week), in order; into none if 0 are wanted.

    No week's return reaches into another part: the last exit of one is the first execution of the next. The weeks
    around a part stay in order; an episode that crosses the gap trades what has changed, as at any change of the
    universe.
    """
    cuts = [len(weeks) * k // count for k in range(count + 1)] if count else []
    every = np.arange(len(weeks))
    return [FoldOfWeeks(weeks[first:last], weeks[(every < first) | (every >= last)]) for first, last in pairwise(cuts)]


def active_returns(policy: Policy, unseen: StateTensors) -> np.ndarray:
    """Return a policy's weekly net simple return above equal weight's, shape (T,), each starting in cash.

    The walk is that of `rollout.simulate`; equal weight takes the second place of a batch of two. A policy whose
    objective charges risk or trading is held to earn less: its returns are brought to equal weight's volatility over
    these weeks first, so that what is compared is return for risk.
    """
    batch = PortfolioBatch(unseen, policy.scaler, policy.costs, 2)
    equal = equal_weights(policy.costs)
    net = np.empty((len(unseen), 2))
    for t in range(len(unseen)):
        target = policy.target_weights(unseen.observation(t, batch.seen[0]))
        net[t] = batch.step(np.stack([target, equal])).net
    own, theirs = net[:, 0], net[:, 1]
    deviation = float(np.std(own))
    if not policy.recipe.objective.off and deviation > _NO_DEVIATION:
        own = own * (np.std(theirs) / deviation)
    return own - theirs


def shrinkage(active: np.ndarray) -> Shrinkage:
    """Return the share of a tilt that returns above equal weight, shape (T,), justify.

    Where they do not vary (nothing was tilted) there is nothing to serve: the share is 0.
    """
    deviation = float(np.std(active, ddof=1))
    t = float(np.mean(active) / deviation * np.sqrt(len(active))) if deviation > _NO_DEVIATION else 0.0
    return Shrinkage(min(1.0, max(0.0, t - NO_EVIDENCE)), t, len(active))


def cross_fit(judged: Sequence[tuple[Policy, StateTensors]]) -> Shrinkage:
    """Return the shrinkage from policies and the weeks that each of them has not seen."""
    return shrinkage(np.concatenate([active_returns(policy, unseen) for policy, unseen in judged]))
