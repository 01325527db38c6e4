"""The deep look at one allocator over all its judged years: seeds, shrinkage, placebos, years, response.

An annual report (`walk_forward`) says what the recipe earned; this says how much of that is the choice of a seed, the
shrinkage, the forecasts. Everything walks over the same weeks through the same accounting, net of costs, holdings
carried from year to year.

- *Unshrunk*: the policy with all of its tilt, beside the share that is served.
- *Recipes*: the same recipe trained from other seeds, as far as there are any (`seeds`).
- *Seeds*: each member of the one ensemble alone, at the ensemble's share (`seeds`).
- *Placebo*: the stocks exchange their forecasts, in all weeks alike, before the policy sees them (`placebo`).

Shape of a summary (JSON values only; equal inputs give an equal summary)::

    format, allocator, years, first_week, last_week, last_exit, weeks: [ISO Mondays], costs {...},
    market, universe, execution, notes and whatever else the context states,
    versions: {year: version that decided it}, shares: {year: share of its tilt that is served},
    series: {"policy", "unshrunk" and every baseline: {role, `performance.performance`, interval,
             weekly: {net, gross, turnover, cost}}}
    recipes: {walks: [{seed, shares: {year: share}, metrics, net, unshrunk_net}], the policies as trained first,
              spread: {sharpe, cagr: {mean, sd, min, max, n}}, words}; no walks and spread None without other seeds
    seeds: {served, unshrunk: [{member, metrics, net}], spread, unshrunk_spread: {sharpe, cagr: {mean, sd, min, max}}}
    placebo: `placebo.placebo_test`
    calendar: [`periods.calendar_years`, and version and share of the year]
    rolling: {weeks: [ISO Monday of each window's last week], window, policy, hrp, equal_weight: [Sharpe ratio]}
    response: {weeks, permutation: see `response`, integrated_gradients: see `attribution`} of the latest policy,
              unshrunk, in the weeks it decided, holding what it then held
    weights: {symbol: [target weight of each week]} of the policy, CASH last
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import MIN_JUDGED_WEEKS, PRINCIPAL_BASELINES, WEEKS_PER_YEAR, CostConfig
from allocator_pipeline.evaluation.attribution import integrated_gradients
from allocator_pipeline.evaluation.judged import Judged, served, unshrunk
from allocator_pipeline.evaluation.performance import performance
from allocator_pipeline.evaluation.periods import calendar_years, rolling_sharpe
from allocator_pipeline.evaluation.placebo import DRAWS, placebo_test
from allocator_pipeline.evaluation.response import permutation_response, stack
from allocator_pipeline.evaluation.seeds import Replicates, member_walks, seed_rows, spread, whole_recipes
from allocator_pipeline.evaluation.significance import sharpe_interval
from allocator_pipeline.evaluation.walk_forward import POLICY, iso, weights_by_symbol
from allocator_pipeline.portfolio.rollout import Rollout
from allocator_pipeline.portfolio.state import Observation, StateTensors

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

FORMAT = 2
UNSHRUNK = "unshrunk"


def allocator_summary(
    allocator: str,
    policies: Mapping[int, tuple[str, Policy]],
    states: StateTensors,
    baselines: Mapping[str, Allocator],
    costs: CostConfig,
    context: Mapping[str, Any],
    placebos: int = DRAWS,
    seed: int | None = None,
    replicates: Replicates = MappingProxyType({}),
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
    seed : int, optional
        That the policies were trained from, if one.
    replicates : mapping, optional
        The same recipe from other seeds, policies of the same years.

    Returns
    -------
    dict
        The summary, in the shape that the module describes.

    Raises
    ------
    MissingPartitionError
        If the policy of a year between is absent, or a replicate lacks a year.
    MarketDataError
        If a week before a known one is absent or has no return.
    NotEnoughDataError
        If fewer than two weeks of the last year are known, or a policy's training read weeks that it decides.
    """
    judged = Judged.of(policies, states, costs)
    whole: list[Observation] = []
    all_of_it = judged.decide(unshrunk)

    def watched(observation: Observation) -> np.ndarray:
        whole.append(observation)
        return all_of_it(observation)

    rivals = {name: judged.walk(rule.target_weights) for name, rule in baselines.items()}
    runs = {POLICY: judged.walk(judged.decide(served)), UNSHRUNK: judged.walk(watched), **rivals}
    market = judged.walk(EqualWeight(costs).target_weights)
    members = {"served": member_walks(judged, served), UNSHRUNK: member_walks(judged, unshrunk)}
    weeks = [iso(week) for week in judged.calendar["week"]]
    years = [year + 1 for year in judged.policies]
    latest = stack([seen for seen, year in zip(whole, judged.years, strict=True) if year == years[-1]])
    versions = {str(year): policies[year - 1][0] for year in years}
    shares = {str(year): judged.policies[year - 1].shrinkage.share for year in years}
    return {
        **dict(context),
        "format": FORMAT,
        "allocator": allocator,
        "years": years,
        "first_week": weeks[0],
        "last_week": weeks[-1],
        "last_exit": iso(judged.calendar["exit_session"].iloc[-1]),
        "weeks": weeks,
        "costs": asdict(costs),
        "versions": versions,
        "shares": shares,
        "series": {name: _series(name, run, market, costs) for name, run in runs.items()},
        "recipes": whole_recipes(allocator, judged, market, seed, replicates),
        "seeds": {
            **{name: seed_rows(walks, market, judged) for name, walks in members.items()},
            "spread": spread(members["served"]),
            "unshrunk_spread": spread(members[UNSHRUNK]),
        },
        "placebo": placebo_test(judged, runs[POLICY], runs[UNSHRUNK], placebos),
        "calendar": [
            {**row, "version": versions[str(row["year"])], "share": shares[str(row["year"])]}
            for row in calendar_years(judged.years, runs[POLICY], rivals)
        ],
        "rolling": _rolling(weeks, runs),
        "response": _response(judged.policies[years[-1] - 1].unshrunk(), latest),
        "weights": weights_by_symbol(runs[POLICY]),
    }


def _series(name: str, run: Rollout, market: Rollout, costs: CostConfig) -> dict[str, Any]:
    return {
        "role": {POLICY: "candidate", UNSHRUNK: UNSHRUNK}.get(name, "baseline"),
        **performance(run, market, costs),
        "interval": sharpe_interval(run.net) if len(run.net) >= MIN_JUDGED_WEEKS else None,
        "weekly": {item: getattr(run, item).tolist() for item in ("net", "gross", "turnover", "cost")},
    }


def _rolling(weeks: Sequence[str], runs: Mapping[str, Rollout]) -> dict[str, Any]:
    return {
        "weeks": list(weeks[WEEKS_PER_YEAR - 1 :]),
        "window": WEEKS_PER_YEAR,
        **{name: rolling_sharpe(runs[name].net).tolist() for name in (POLICY, *PRINCIPAL_BASELINES) if name in runs},
    }


def _response(policy: Policy, seen: Observation) -> dict[str, Any]:
    return {
        "weeks": len(seen.weights),
        "permutation": permutation_response(policy, seen),
        "integrated_gradients": integrated_gradients(policy, seen),
    }
