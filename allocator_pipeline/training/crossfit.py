"""Cross-fitted shrinkage: how much of a policy's tilt the training weeks themselves justify.

Networks trained on each half of the training weeks decide the other half. The t statistic of what they earned above
equal weight there, net of costs, over all the weeks, sets the share of the tilt that the policy trained on everything
is served with: ``s = max(0, 1 - 1 / (2 t^2))`` for t > 0, else 0. On noise most policies come out as equal weight.

``1 - 1 / t^2`` is the positive-part James-Stein factor for one mean (Efron & Morris 1973, JASA 68), the estimated share
of signal in what was measured. But what is served has learned from twice the weeks of those that were measured, and is
better where there is something to learn: half the noise is charged. docs/learnability.md compares the rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allocator_pipeline.allocators.policy import Policy, Shrinkage
from allocator_pipeline.portfolio.batch import PortfolioBatch
from allocator_pipeline.portfolio.constraints import equal_weights
from allocator_pipeline.portfolio.state import StateTensors

_NO_DEVIATION = 1e-12  # what rounding leaves of returns that do not vary


def halves(weeks: StateTensors) -> tuple[StateTensors, StateTensors]:
    """Return the earlier and the later half of successive weeks.

    No week's return reaches into the other half: the last exit of one is the first execution of the other.
    """
    middle = len(weeks) // 2
    return weeks[:middle], weeks[middle:]


def active_returns(policy: Policy, unseen: StateTensors) -> np.ndarray:
    """Return a policy's weekly net simple return above equal weight's, shape (T,), each starting in cash.

    The walk is that of `rollout.simulate`; equal weight takes the second place of a batch of two.
    """
    batch = PortfolioBatch(unseen, policy.scaler, policy.costs, 2)
    equal = equal_weights(policy.costs)
    net = np.empty((len(unseen), 2))
    for t in range(len(unseen)):
        target = policy.target_weights(unseen.observation(t, batch.seen[0]))
        net[t] = batch.step(np.stack([target, equal])).net
    return net[:, 0] - net[:, 1]


def shrinkage(active: np.ndarray) -> Shrinkage:
    """Return the share of a tilt that returns above equal weight, shape (T,), justify.

    Where they do not vary (nothing was tilted) there is nothing to serve: the share is 0.
    """
    deviation = float(np.std(active, ddof=1))
    t = float(np.mean(active) / deviation * np.sqrt(len(active))) if deviation > _NO_DEVIATION else 0.0
    return Shrinkage(max(0.0, 1.0 - 0.5 / t**2) if t > 0 else 0.0, t, len(active))


def cross_fit(judged: Sequence[tuple[Policy, StateTensors]]) -> Shrinkage:
    """Return the shrinkage from policies and the weeks that each of them has not seen."""
    return shrinkage(np.concatenate([active_returns(policy, unseen) for policy, unseen in judged]))
