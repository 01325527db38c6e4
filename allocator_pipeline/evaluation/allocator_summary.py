"""The deep look at one allocator over all its judged years: seeds, shrinkage, placebos, years, response.

An annual report (`walk_forward`) says what the recipe earned; this says how much of that is the choice of a seed, the
shrinkage, the forecasts. Everything walks over the same weeks through the same accounting, net of costs, holdings
carried from year to year.

- *Unshrunk*: the policy with all of its tilt, beside the share that is served.
- *Seeds*: each member of the ensemble alone, in every year the one trained from the same place in the seeds. Members
  differ by their random numbers only; the spread of whole ensembles from new seeds would be smaller, since an ensemble
  is a mean of members.
- *Placebo*: the forecasts of each week shuffled among the stocks before the policy sees them (`placebo`).

Shape of a summary (JSON values only; equal inputs give an equal summary)::

    format, allocator, years, first_week, last_week, last_exit, weeks: [ISO Mondays], costs {...},
    market, universe, execution, notes and whatever else the context states,
    versions: {year: version that decided it}, shares: {year: share of its tilt that is served},
    series: {"policy", "unshrunk" and every baseline: {role, `performance.performance`, interval,
             weekly: {net, gross, turnover, cost}}}
    seeds: {served, unshrunk: [{member, metrics, net}], spread, unshrunk_spread: {sharpe, cagr: {mean, sd, min, max}}}
    placebo: {draws: [{seed, sharpe, cagr, unshrunk_sharpe}], sharpe, unshrunk_sharpe,
              share_above: share of draws whose unshrunk Sharpe ratio is not below the true forecasts'}
    calendar: [`periods.calendar_years`, and version and share of the year]
    rolling: {weeks: [ISO Monday of each window's last week], window, policy, hrp, equal_weight: [Sharpe ratio]}
    response: {weeks, permutation: see `response`, integrated_gradients: see `attribution`} of the latest policy,
              unshrunk, in the weeks it decided, holding what it then held
    weights: {symbol: [target weight of each week]} of the policy, CASH last
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import MIN_JUDGED_WEEKS, WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.evaluation.attribution import integrated_gradients
from allocator_pipeline.evaluation.metrics import cagr, sharpe_ratio
from allocator_pipeline.evaluation.performance import performance
from allocator_pipeline.evaluation.periods import calendar_years, rolling_sharpe
from allocator_pipeline.evaluation.placebo import DRAWS, shuffled_forecasts
from allocator_pipeline.evaluation.response import permutation_response, stack
from allocator_pipeline.evaluation.significance import sharpe_interval
from allocator_pipeline.evaluation.walk_forward import (
    POLICY,
    check_out_of_sample,
    check_policy_years,
    iso,
    known_weeks,
    weights_by_symbol,
    year_by_year,
)
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline.portfolio.worlds import simulate_worlds

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

FORMAT = 1
UNSHRUNK = "unshrunk"
ROLLING = (POLICY, "hrp", "equal_weight")

Decide = Callable[[Observation], np.ndarray]


def allocator_summary(
    allocator: str,
    policies: Mapping[int, tuple[str, Policy]],
    states: StateTensors,
    baselines: Mapping[str, Allocator],
    costs: CostConfig,
    context: Mapping[str, Any],
    placebos: int = DRAWS,
) -> dict[str, Any]:
    """Look at an allocator over all weeks that its policies decided out of sample.

    Parameters
    ----------
    allocator : str
        Such as ``ppo_lstm``.
    policies : mapping of int to (version, Policy)
        By policy year, without a gap; the policy of y-1 decides the weeks of y.
    states : StateTensors
        The weeks of all judged years; others are ignored, and so are trailing ones whose return is not known yet.
    baselines : mapping of str to Allocator
        Run over the same weeks through the same costs; those of `config.BASELINES`.
    costs : CostConfig
    context : mapping
        JSON values that the summary repeats, as in a report.
    placebos : int
        Draws of shuffled forecasts.

    Returns
    -------
    dict
        The summary, in the shape that the module describes.

    Raises
    ------
    MissingPartitionError
        If the policy of a year between is absent.
    MarketDataError
        If a week before a known one is absent or has no return.
    NotEnoughDataError
        If fewer than two weeks of the last year are known, or a policy's training read weeks that it decides.
    """
    check_policy_years(max(policies) + 1, policies)
    years = [year + 1 for year in sorted(policies)]
    states, calendar = known_weeks(states, years)
    check_out_of_sample(policies, {}, calendar)
    deciders = {year: policy for year, (_, policy) in policies.items()}

    def through(change: Callable[[Policy], Policy]) -> Decide:
        """Let the changed policy of each year decide the weeks of the next."""
        return year_by_year({year: change(policy) for year, policy in deciders.items()}, calendar)

    whole: list[Observation] = []

    def watched(observation: Observation) -> np.ndarray:
        whole.append(observation)
        return all_of_it(observation)

    served, all_of_it = through(lambda policy: policy), through(lambda policy: policy.unshrunk())
    runs = {
        POLICY: simulate(served, states, costs),
        UNSHRUNK: simulate(watched, states, costs),
        **{name: simulate(rule.target_weights, states, costs) for name, rule in baselines.items()},
    }
    market = simulate(EqualWeight(costs).target_weights, states, costs)
    alone = {
        name: _members(through, deciders, states, costs, unshrunk=name == UNSHRUNK) for name in ("served", UNSHRUNK)
    }
    judged = calendar["year"].to_numpy()
    weeks = [iso(week) for week in calendar["week"]]
    latest = stack([seen for seen, year in zip(whole, judged, strict=True) if year == years[-1]])
    versions = {str(year + 1): version for year, (version, _) in sorted(policies.items())}
    shares = {str(year + 1): policy.shrinkage.share for year, (_, policy) in sorted(policies.items())}
    return {
        **dict(context),
        "format": FORMAT,
        "allocator": allocator,
        "years": years,
        "first_week": weeks[0],
        "last_week": weeks[-1],
        "last_exit": iso(calendar["exit_session"].iloc[-1]),
        "weeks": weeks,
        "costs": asdict(costs),
        "versions": versions,
        "shares": shares,
        "series": {name: _series(name, run, market, costs) for name, run in runs.items()},
        "seeds": {
            **{name: _seeds(of, market, costs) for name, of in alone.items()},
            "spread": _spread(alone["served"]),
            "unshrunk_spread": _spread(alone[UNSHRUNK]),
        },
        "placebo": _placebo(served, all_of_it, states, costs, runs, placebos),
        "calendar": [
            {**row, "version": versions[str(row["year"])], "share": shares[str(row["year"])]}
            for row in calendar_years(judged, runs[POLICY], {name: runs[name] for name in baselines})
        ],
        "rolling": _rolling(weeks, runs),
        "response": _response(deciders[years[-1] - 1].unshrunk(), latest),
        "weights": weights_by_symbol(runs[POLICY].symbols, runs[POLICY].targets),
    }


def _members(
    through: Callable[[Callable[[Policy], Policy]], Decide],
    deciders: Mapping[int, Policy],
    states: StateTensors,
    costs: CostConfig,
    unshrunk: bool,
) -> list[Rollout]:
    """Let every member that each year has walk alone."""
    count = min(policy.members for policy in deciders.values())

    def member(at: int) -> Callable[[Policy], Policy]:
        return lambda policy: (policy.unshrunk() if unshrunk else policy).member(at)

    return [simulate(through(member(at)), states, costs) for at in range(count)]


def _series(name: str, run: Rollout, market: Rollout, costs: CostConfig) -> dict[str, Any]:
    return {
        "role": {POLICY: "candidate", UNSHRUNK: UNSHRUNK}.get(name, "baseline"),
        **performance(run, market, costs),
        "interval": sharpe_interval(run.net) if len(run.net) >= MIN_JUDGED_WEEKS else None,
        "weekly": {item: getattr(run, item).tolist() for item in ("net", "gross", "turnover", "cost")},
    }


def _seeds(runs: Sequence[Rollout], market: Rollout, costs: CostConfig) -> list[dict[str, Any]]:
    return [
        {"member": at, "metrics": performance(run, market, costs)["metrics"], "net": run.net.tolist()}
        for at, run in enumerate(runs)
    ]


def _spread(runs: Sequence[Rollout]) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation (0 for a single one), least and greatest Sharpe ratio and CAGR of the members."""
    each = {"sharpe": [float(sharpe_ratio(run.net)) for run in runs], "cagr": [cagr(run.net) for run in runs]}
    return {
        name: {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            "min": min(values),
            "max": max(values),
        }
        for name, values in each.items()
    }


def _placebo(
    served: Decide, all_of_it: Decide, states: StateTensors, costs: CostConfig, runs: Mapping[str, Rollout], draws: int
) -> dict[str, Any]:
    worlds = [shuffled_forecasts(states, draw) for draw in range(draws)]
    walked = [simulate_worlds(decide, worlds, costs) for decide in (served, all_of_it)]
    rows = [
        {
            "seed": draw,
            "sharpe": float(sharpe_ratio(run.net)),
            "cagr": cagr(run.net),
            "unshrunk_sharpe": float(sharpe_ratio(whole.net)),
        }
        for draw, (run, whole) in enumerate(zip(*walked, strict=True))
    ]
    real, real_whole = (float(sharpe_ratio(runs[name].net)) for name in (POLICY, UNSHRUNK))
    return {
        "draws": rows,
        "sharpe": real,
        "unshrunk_sharpe": real_whole,
        "share_above": float(np.mean([row["unshrunk_sharpe"] >= real_whole for row in rows])),
    }


def _rolling(weeks: Sequence[str], runs: Mapping[str, Rollout]) -> dict[str, Any]:
    return {
        "weeks": list(weeks[WEEKS_PER_YEAR - 1 :]),
        "window": WEEKS_PER_YEAR,
        **{name: rolling_sharpe(runs[name].net).tolist() for name in ROLLING if name in runs},
    }


def _response(policy: Policy, seen: Observation) -> dict[str, Any]:
    return {
        "weeks": len(seen.weights),
        "permutation": permutation_response(policy, seen),
        "integrated_gradients": integrated_gradients(policy, seen),
    }
