"""The evaluation report of one allocator and year: who earned what out of sample, net of costs, over the same weeks.

The report of year Y judges the policy of year Y-1, which was trained on weeks up to the end of Y-1. Its two sections:

- ``year_only``: the weeks of Y, each series starting in cash.
- ``walk_forward``: the weeks of all judged years, year y by the policy of y-1, holdings carried from year to year. This
  is how the *recipe* is compared with the baselines; reference policies stay frozen over the same weeks.

Nothing is judged on weeks that its training read: a policy whose cut-off lies after the first decision is refused.

Shape of a report (JSON values only; equal inputs give an equal report)::

    format, allocator, year, candidate (version of the policy judged),
    first_week, last_week, last_exit (ISO dates of all that was read), costs {...},
    purge {words, label_weeks, embargo_weeks, gap_days: {year: days from last exit trained on to first decision}},
    market, universe, execution, notes and whatever else the context states,
    year_only, walk_forward: {years: [...], versions: {year: version that decided it}, series: {name: {...}}}

The series ``policy`` (the candidate; in earlier years its predecessors), the reference policies and the baselines each
hold::

    role      "candidate", "reference" or "baseline"
    version   of the policy, None for a baseline
    metrics, cost_levels   see `performance.performance`
    interval  see `significance.sharpe_interval`; None below 26 weeks
    against   {baseline: see `significance.sharpe_difference`, None below 26 weeks} for `PRINCIPAL_BASELINES`, which
              the gate reads; empty for a baseline
    facts     {costs_paid: sum of the weekly costs, a fraction of wealth; worst_week: {week, net}; final_wealth}
    weekly    {weeks: [ISO], net: [...], gross: [...], turnover: [...], cost: [...]}; gross is before costs
    weights   {symbol: [target weight of each week, 6 decimals]}, CASH last; not of a baseline, whose weights are stored
              as ``baseline_weights``
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.allocators.base import Allocator
from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import CASH, MIN_JUDGED_WEEKS, PRINCIPAL_BASELINES, CostConfig
from allocator_pipeline.errors import (
    ConfigurationError,
    CorruptArtifactError,
    MarketDataError,
    MissingPartitionError,
    NotEnoughDataError,
)
from allocator_pipeline.evaluation.metrics import wealth
from allocator_pipeline.evaluation.performance import performance
from allocator_pipeline.evaluation.significance import sharpe_difference, sharpe_interval
from allocator_pipeline.market.calendar import weeks_of_year
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors

FORMAT = 2
POLICY = "policy"
STATED = ("market", "universe", "execution", "notes")
"""What every report says about its data; ``notes`` name survivorship and simulated inputs."""

LABEL_WEEKS, EMBARGO_WEEKS = 1, 0
"""How long the return that training learns from runs, and what is left out beyond it."""

_CUTOFF = re.compile(r"v(\d{4}-\d{2}-\d{2})-")


@dataclass(frozen=True)
class _Entrant:
    """One series of a section, before its weeks are run."""

    role: str
    version: str | None
    decide: Callable[[Observation], np.ndarray]


def eval_report(
    allocator: str,
    year: int,
    policies: Mapping[int, tuple[str, Allocator]],
    states: StateTensors,
    baselines: Mapping[str, Allocator],
    reference: Mapping[str, tuple[str, Allocator]],
    costs: CostConfig,
    context: Mapping[str, Any],
) -> dict[str, Any]:
    """Judge the policy of ``year - 1`` on the weeks of ``year``, and the recipe on all walk-forward weeks up to them.

    Parameters
    ----------
    allocator : str
        Such as ``ppo_lstm``.
    year : int
        The year judged.
    policies : mapping of int to (version, Allocator)
        By policy year: ``year - 1``, and earlier years without a gap. The policy of y-1 decides the weeks of y.
    states : StateTensors
        The weeks of all judged years; others are ignored, and so are trailing ones whose return is not known yet.
    baselines : mapping of str to Allocator
        Run over the very same weeks through the same costs; those of `config.BASELINES`.
    reference : mapping of str to (version, Allocator)
        Further policies, frozen over the walk-forward weeks.
    costs : CostConfig
    context : mapping
        JSON values that the report repeats; holds all of `STATED`.

    Returns
    -------
    dict
        The report, in the shape that the module describes.

    Raises
    ------
    MissingPartitionError
        If the policy of ``year - 1`` or of a year between is absent.
    MarketDataError
        If a week before a known one is absent or has no return.
    NotEnoughDataError
        If fewer than two weeks of ``year`` are known, or a policy's training read weeks that it would be judged on.
    ConfigurationError
        If the context leaves out a statement, or two series share a name.
    """
    _check_inputs(year, policies, baselines, reference, context)
    years = list(range(min(policies) + 1, year + 1))
    states, weeks = known_weeks(states, years)
    check_out_of_sample(policies, reference, weeks)
    this_year = (weeks["year"] == year).to_numpy()
    version, policy = policies[year - 1]
    rivals = {name: _Entrant("baseline", None, rule.target_weights) for name, rule in baselines.items()}
    frozen = {name: _Entrant("reference", label, rule.target_weights) for name, (label, rule) in reference.items()}
    alone = {POLICY: _Entrant("candidate", version, policy.target_weights), **rivals}
    through = {
        POLICY: _Entrant("candidate", version, year_by_year({y: rule for y, (_, rule) in policies.items()}, weeks)),
        **frozen,
        **rivals,
    }
    decided_by = {str(y + 1): label for y, (label, _) in sorted(policies.items())}
    return {
        **dict(context),
        "format": FORMAT,
        "allocator": allocator,
        "year": year,
        "candidate": version,
        "first_week": iso(weeks["week"].iloc[0]),
        "last_week": iso(weeks["week"].iloc[-1]),
        "last_exit": iso(weeks["exit_session"].iloc[-1]),
        "costs": asdict(costs),
        "purge": _purge(policies, weeks),
        "year_only": {
            "years": [year],
            "versions": {str(year): version},
            "series": _series(alone, states[this_year], costs),
        },
        "walk_forward": {"years": years, "versions": decided_by, "series": _series(through, states, costs)},
    }


def check_format(report: Mapping[str, Any]) -> None:
    """Refuse a report that another version of this module wrote.

    Raises
    ------
    CorruptArtifactError
        Naming the report.
    """
    if report.get("format") != FORMAT:
        key = f"{report.get('allocator')}|{report.get('year')}"
        raise CorruptArtifactError(
            f"The report has format {report.get('format')}, and this version reads format {FORMAT}.",
            todo="materialise baseline_weights of its years, then eval_reports, again.",
            source=f"eval_reports {key}",
        )


def _check_inputs(
    year: int,
    policies: Mapping[int, Any],
    baselines: Iterable[str],
    reference: Iterable[str],
    context: Mapping[str, Any],
) -> None:
    check_policy_years(year, policies)
    unsaid = [key for key in STATED if not context.get(key)]
    if unsaid:
        raise ConfigurationError(
            f"The report's context does not state {', '.join(unsaid)}.",
            todo="say which market, universe and execution rule were used, and what they carry.",
        )
    names = [POLICY, *baselines, *reference]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"Two series share a name: {sorted(names)}.", todo="give each series its own name.")


def check_policy_years(year: int, policies: Mapping[int, Any]) -> None:
    """Refuse policies whose years leave a gap, or do not end with the one before ``year``."""
    absent = [y for y in range(min([*policies, year - 1]), year) if y not in policies]
    if absent or max(policies) >= year:
        raise MissingPartitionError(
            f"The report of {year} needs the policies of consecutive years up to {year - 1}, not {sorted(policies)}.",
            todo=f"materialise trained_policies for {absent or year - 1}, or leave out the years before the gap.",
        )


def known_weeks(states: StateTensors, years: list[int]) -> tuple[StateTensors, pd.DataFrame]:
    """Return the weeks of some years up to the last known one, and their rows of the calendar."""
    weeks = pd.concat([weeks_of_year(y) for y in years], ignore_index=True)
    mondays = weeks["week"].to_numpy().astype("datetime64[D]")
    known = np.isin(mondays, states.weeks[states.known].astype("datetime64[D]"))
    count = int(known.nonzero()[0][-1]) + 1 if known.any() else 0
    if not known[:count].all():
        hole = mondays[np.argmin(known)]
        raise MarketDataError(
            "A week before the last known one is absent or has no return.",
            todo="materialise prices and state_tensors of its year again.",
            week=str(hole),
        )
    if (weeks["year"].iloc[:count] == years[-1]).sum() < 2:
        raise NotEnoughDataError(
            f"Fewer than two weeks of {years[-1]} have a known return.",
            todo="materialise this report later in the year.",
        )
    return states[np.isin(states.weeks.astype("datetime64[D]"), mondays[:count])], weeks.iloc[:count]


def check_out_of_sample(
    policies: Mapping[int, tuple[str, Any]], reference: Mapping[str, tuple[str, Any]], weeks: pd.DataFrame
) -> None:
    """Refuse a policy whose version says that its training read an exit after the first decision it is judged on."""
    first = _first_decisions(weeks)
    judged = [(version, first[policy_year + 1]) for policy_year, (version, _) in policies.items()]
    judged += [(version, first.iloc[0]) for version, _ in reference.values()]
    for version, decision in judged:
        if _cutoff(version) > decision:
            raise NotEnoughDataError(
                f"The policy {version} was trained past {iso(decision)}, the first decision it would be judged on.",
                todo="judge it on later weeks only.",
            )


def _purge(policies: Mapping[int, tuple[str, Any]], weeks: pd.DataFrame) -> dict[str, Any]:
    """State what keeps training and judged weeks apart, with the days that lie between them in each year."""
    first = _first_decisions(weeks)
    gaps = {str(y + 1): (first[y + 1] - _cutoff(version)).days for y, (version, _) in sorted(policies.items())}
    return {
        "label_weeks": LABEL_WEEKS,
        "embargo_weeks": EMBARGO_WEEKS,
        "gap_days": gaps,
        "words": "Purge: a return runs for one week, and training leaves out every week whose last price comes after "
        f"the first decision that the policy is judged on; {min(gaps.values())} to {max(gaps.values())} days lie "
        "between the two. Embargo: none is needed, since training always ends before the weeks judged and never goes "
        "on after them.",
    }


def _first_decisions(weeks: pd.DataFrame) -> pd.Series:
    """Return the first decision session of each year."""
    return weeks.groupby("year")["decision_session"].first()


def _cutoff(version: str) -> pd.Timestamp:
    found = _CUTOFF.match(version)
    if found is None:
        raise CorruptArtifactError(
            f"The version {version!r} does not name its data cut-off.", todo="train the policy again."
        )
    return pd.Timestamp(found[1])


def year_by_year(policies: Mapping[int, Allocator], weeks: pd.DataFrame) -> Callable[[Observation], np.ndarray]:
    """Let the policy of each year decide the weeks of the next; ``weeks`` are rows of the calendar."""
    by_week = {
        monday: policies[y - 1]
        for monday, y in zip(weeks["week"].to_numpy().astype("datetime64[D]"), weeks["year"], strict=True)
    }

    def decide(observation: Observation) -> np.ndarray:
        return by_week[observation.week.astype("datetime64[D]")].target_weights(observation)

    return decide


def _series(entrants: Mapping[str, _Entrant], states: StateTensors, costs: CostConfig) -> dict[str, Any]:
    """Run every entrant over the same weeks, starting in cash, and compare the policies with the baselines."""
    runs = {name: simulate(entrant.decide, states, costs) for name, entrant in entrants.items()}
    market = simulate(EqualWeight(costs).target_weights, states, costs)
    baselines = [name for name in PRINCIPAL_BASELINES if name in entrants]
    enough = len(states) >= MIN_JUDGED_WEEKS
    return {
        name: {
            "role": entrant.role,
            "version": entrant.version,
            **performance(runs[name], market, costs),
            "interval": sharpe_interval(runs[name].net) if enough else None,
            "against": {
                baseline: sharpe_difference(runs[name].net, runs[baseline].net) if enough else None
                for baseline in (baselines if entrant.role != "baseline" else [])
            },
            **_weekly(runs[name]),
            **({} if entrant.role == "baseline" else {"weights": weights_by_symbol(runs[name])}),
        }
        for name, entrant in entrants.items()
    }


def _weekly(run: Rollout) -> dict[str, Any]:
    weeks = [iso(week) for week in run.weeks]
    worst = int(np.argmin(run.net))
    return {
        "facts": {
            "costs_paid": float(run.cost.sum()),
            "worst_week": {"week": weeks[worst], "net": float(run.net[worst])},
            "final_wealth": float(wealth(run.net)[-1]),
        },
        "weekly": {
            "weeks": weeks,
            "net": run.net.tolist(),
            "gross": run.gross.tolist(),
            "turnover": run.turnover.tolist(),
            "cost": run.cost.tolist(),
        },
    }


def weights_by_symbol(run: Rollout) -> dict[str, list[float]]:
    """Return target weights by symbol over time; 0 while a symbol is outside the universe."""
    symbols, targets = run.symbols, run.targets
    names = sorted({str(symbol) for symbol in symbols.ravel()})
    table = np.zeros((len(targets), len(names) + 1))
    columns = np.searchsorted(names, symbols)
    np.put_along_axis(table, columns, targets[:, :-1], axis=1)
    table[:, -1] = targets[:, -1]
    return {name: np.round(table[:, i], 6).tolist() for i, name in enumerate([*names, CASH])}


def iso(day: Any) -> str:
    """Return a day as an ISO date."""
    return pd.Timestamp(day).date().isoformat()
