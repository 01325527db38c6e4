"""What a policy is trained to maximise beside the reward: penalties for risk and trading, as options of one objective.

The unit throughout is that of the reward at its default scale: ``x = 100 * log(1 + net)``, so 1 is 1 % of log growth
in a week. Each portfolio carries a `Path`, the running state that the terms need; numpy arrays and torch tensors give
the same numbers, and gradients flow through every term and through the path (but not through the value at risk, which
only moves in steps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.portfolio.rollout import Settlement

UNIT = 100.0
"""Weekly log return to the unit of the objective, which is the reward's at its default scale."""

TAIL = 0.05
"""Share of the weeks that the conditional value at risk is the mean of."""

PRIOR_VOLATILITY = 2.0
"""Standard deviation of x that a path starts from, before it has seen a week; 2 % a week is 14 % a year."""

NORMAL_TAIL = 1.6448536269514722
"""The 95 % quantile of the standard normal distribution: the value at risk that a path starts from is this many prior
deviations."""

MIN_VARIANCE = 1e-4
"""Least variance of x that the differential Sharpe ratio divides by."""

SOFTNESS = 0.5
"""Width in x over which the soft drawdown rounds off the corner of ``max(0, peak - wealth)``."""


@dataclass(frozen=True)
class Objective:
    """Options of the training objective; all off by default, which leaves the reward.

    All penalties can be on together, with either kind of reward.

    Parameters
    ----------
    turnover : float
        Penalty for each unit of one-way turnover, beyond its cost (which is 0.1 for each 10 basis points).
    volatility : float
        Weight of the squared deviation of the week's x from its running mean.
    cvar : float
        Weight of the 5 % conditional value at risk of x, as a loss.
    drawdown : float
        Weight of the soft drawdown that the portfolio stands in each week.
    differential_sharpe : bool
        Maximise the differential Sharpe ratio (Moody & Saffell 2001) instead of the log return.
    eta : float
        Rate of the running mean, second moment and value at risk.

    Raises
    ------
    ConfigurationError
        If a weight is negative or not finite, or the rate is not between 0 and 1.
    """

    turnover: float = 0.0
    volatility: float = 0.0
    cvar: float = 0.0
    drawdown: float = 0.0
    differential_sharpe: bool = False
    eta: float = 0.01

    def __post_init__(self) -> None:
        for name in ("turnover", "volatility", "cvar", "drawdown"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0.0):
                raise ConfigurationError(f"The weight of {name} is {weight}.", todo="give a number of at least 0.")
        if not 0.0 < self.eta < 1.0:
            raise ConfigurationError(f"The rate eta is {self.eta}.", todo="give a number between 0 and 1.")

    @property
    def off(self) -> bool:
        """Whether nothing is asked beside the reward, so that there are no terms to compute."""
        return not (self.turnover or self.volatility or self.cvar or self.drawdown or self.differential_sharpe)


REWARD_ONLY = Objective()
"""All options off."""


class Path(NamedTuple):
    """What a portfolio's terms remember of its past weeks; every array has the shape of the rewards.

    Parameters
    ----------
    mean, second : array
        Exponentially weighted mean of x and of its square.
    value_at_risk : array
        Running estimate of the 5 % value at risk of x, as a loss.
    drawdown : array
        Soft drawdown of log wealth, in x.
    """

    mean: Any
    second: Any
    value_at_risk: Any
    drawdown: Any


@dataclass(frozen=True)
class Terms:
    """What the objective makes of a week; every array has the shape of the rewards.

    Parameters
    ----------
    utility : array
        What replaces the reward of a whole portfolio: the reward itself, or the differential Sharpe ratio.
    factor : array
        Marginal utility of the reward: the derivative of utility and penalties (but the turnover's) with respect to x.
        An agent's part in the reward counts by it, so that each is paid for what it does to the whole.
    added : array
        Penalties, at most 0 (the CVaR's where the value at risk is not negative), to add to a whole portfolio's
        utility.
    """

    utility: Any
    factor: Any
    added: Any


def start_path(like: Any) -> Path:
    """Return the path of portfolios before their first week.

    Until weeks are seen it assumes a mean of 0, `PRIOR_VOLATILITY` and the value at risk of a normal distribution with
    them; these fade at the objective's rate. The variance is never 0 so.

    Parameters
    ----------
    like : array
        Of the rewards' shape, kind and device.
    """
    xp = array_namespace(like)
    return Path(
        mean=xp.zeros_like(like),
        second=xp.full_like(like, PRIOR_VOLATILITY**2),
        value_at_risk=xp.full_like(like, NORMAL_TAIL * PRIOR_VOLATILITY),
        drawdown=xp.zeros_like(like),
    )


def restart_path(path: Path, started: Any) -> Path:
    """Return the path of portfolios that start another episode where ``started`` (boolean, of its shape) is true.

    Wealth and drawdown begin anew. The running mean, second moment and value at risk go on: they are estimates about
    the policy, as a reward's normalisation is, and an episode alone is too short for them.
    """
    xp = array_namespace(path.drawdown)
    return path._replace(drawdown=xp.where(started, xp.zeros_like(path.drawdown), path.drawdown))


def objective_terms(week: Settlement, path: Path, objective: Objective, costs: CostConfig) -> tuple[Terms, Path]:
    """Return a week's terms, and the path after it.

    - differential Sharpe: `differential_sharpe`;
    - turnover: ``-weight * turnover``;
    - volatility: ``-weight * (x - mean)^2`` with the running mean before the week;
    - CVaR (Rockafellar & Uryasev 2000): ``-weight * (v + max(0, -x - v) / 0.05)``, whose mean is the conditional value
      at risk where v is the value at risk, and more for every other v; v takes one step of stochastic descent a week
      on just that, of ``eta`` prior deviations;
    - drawdown: ``-weight * d'`` with ``d' = softness * log(1 + exp((d - x) / softness))``, the soft form of
      ``max(0, d - x)``, which is how peak less wealth moves on. Its mean is the average drawdown (Chekhlov, Uryasev &
      Zabarankin 2005); charging only the increases would, over an episode, charge no more than the last d.

    A portfolio's objective is ``utility + added``. An agent with part p in the reward gets ``factor * p``, its
    first-order share; the turnover's penalty is a higher cost of its own trades (`agents_env.agent_rewards`). To pay
    every agent the whole portfolio's penalty would bury its part: with 16 agents the rest is noise to each.

    Parameters
    ----------
    week : Settlement
        Arrays of any shape, numpy or torch.
    path : Path
        Of the same shape, before the week.
    objective : Objective
    costs : CostConfig
        For the reward's scale; with another than the default all terms are scaled as the reward is.
    """
    xp = array_namespace(week.reward)
    scale = costs.reward_scale / UNIT
    x = week.reward / scale
    eta, mean, second, risk, drawdown = objective.eta, *path
    utility, factor, penalty = week.reward, xp.ones_like(x), objective.turnover * week.turnover
    if objective.differential_sharpe:
        ratio, factor = differential_sharpe(x, mean, second)
        utility = scale * ratio
    if objective.volatility:
        penalty = penalty + objective.volatility * (x - mean) ** 2
        factor = factor - 2.0 * objective.volatility * (x - mean)
    if objective.volatility or objective.differential_sharpe:
        mean, second = mean + eta * (x - mean), second + eta * (x**2 - second)
    if objective.cvar:
        excess = -x - risk
        beyond = xp.where(excess > 0, excess, xp.zeros_like(x))
        penalty = penalty + objective.cvar * (risk + beyond / TAIL)
        factor = factor + objective.cvar / TAIL * xp.where(excess > 0, xp.ones_like(x), xp.zeros_like(x))
        beyond_share = xp.where(excess > 0, xp.full_like(x, 1.0 / TAIL), xp.zeros_like(x))
        risk = risk + eta * PRIOR_VOLATILITY * (beyond_share - 1.0)
    if objective.drawdown:
        deeper = SOFTNESS * xp.logaddexp((drawdown - x) / SOFTNESS, xp.zeros_like(x))
        penalty = penalty + objective.drawdown * deeper
        factor = factor + objective.drawdown * xp.exp((drawdown - x - deeper) / SOFTNESS)
        drawdown = deeper
    return Terms(utility, factor, -scale * penalty), Path(mean, second, risk, drawdown)


def differential_sharpe(x: Any, mean: Any, second: Any) -> tuple[Any, Any]:
    """Return the differential Sharpe ratio of a week and its derivative with respect to x (Moody & Saffell 2001).

    ``D = (B dA - A dB / 2) / (B - A^2)^1.5`` with running mean A and second moment B before the week, ``dA = x - A``
    and ``dB = x^2 - B``; its derivative is ``(B - A x) / (B - A^2)^1.5``. The variance is taken as `MIN_VARIANCE` where
    it is less. D does not depend on the unit of x.

    Parameters
    ----------
    x, mean, second : array
        Of one shape.
    """
    xp = array_namespace(x)
    variance = second - mean**2
    deviation = xp.where(variance > MIN_VARIANCE, variance, xp.full_like(x, MIN_VARIANCE)) ** 1.5
    ratio = (second * (x - mean) - 0.5 * mean * (x**2 - second)) / deviation
    return ratio, (second - mean * x) / deviation
