"""Allocators side by side over the weeks they share: whether any is better than a baseline, and what choosing costs.

Nothing here is a best number alone. Each difference stands beside its interval, and everything knows how many tries
there were: looks at results that the ledger counts, or, before it counts any, the years judged.

Shape of a comparison (JSON values only; equal inputs give an equal comparison)::

    format, first_week, last_week, weeks: count, allocators: [names],
    tries: {count, sequence, position, by_allocator: {name: count}} of the ledger; zeros if it is empty
    trials: what everything below reckons with: the ledger's count, or the years judged
    alike: {allocator: the first with the same returns in every week}, so that what is tested is counted once
    pairs: [{allocator, baseline, sharpe, baseline_sharpe, bootstrap: `significance.sharpe_difference`,
             ledoit_wolf: `ledoit_wolf.sharpe_test`, deflated: `deflated.deflated_gain`, verdict, words}]; both tests
             two-sided, all None below 26 weeks, deflated None for a tie
    duels: [{allocator, challenger, champion, weeks, trials, bootstrap, ledoit_wolf, deflated, verdict, words}], trials
           being the tries when it was judged
    deflated: {allocator and equal_weight: {sharpe, benchmark, probability, trials}} or None; at least as many trials as
              there are members of all ensembles. The benchmark is the best expected of tries that earn nothing; the
              threshold of a pair's ``deflated`` is another number: the best expected gain over that rival
    overfitting: `overfitting.overfitting_probability` of choosing one among recipes x seeds, unshrunk, with the number
                 of recipes and the allocators whose seeds are ``whole_recipes`` (the others' are members), or None
    superiority: {baseline: `superiority.superior_ability` of the allocators}, empty below 26 weeks
    confidence_set: `superiority.confidence_set` of allocators and baselines, or None
    words: [sentences]

Verdicts: ``above`` and ``below`` need both tests at 5 %; else ``same``. ``tie``: equal in every week, as where none of
a tilt is served. ``unknown``: too few weeks. A verdict speaks of its pair alone; the sentences count the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allocator_pipeline.config import ANCHOR, BASELINES
from allocator_pipeline.errors import ConflictError, NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.allocator_summary import UNSHRUNK
from allocator_pipeline.evaluation.comparison_words import comparison_words, duel_words, pair_words
from allocator_pipeline.evaluation.deflated import deflated_gain, deflated_sharpe
from allocator_pipeline.evaluation.ledoit_wolf import sharpe_test
from allocator_pipeline.evaluation.metrics import sharpe_ratio
from allocator_pipeline.evaluation.overfitting import overfitting_probability
from allocator_pipeline.evaluation.performance import TIE, alike
from allocator_pipeline.evaluation.significance import sharpe_difference
from allocator_pipeline.evaluation.superiority import confidence_set, superior_ability
from allocator_pipeline.evaluation.walk_forward import POLICY

FORMAT = 2
LEVEL = 0.05

NO_TRIES: Mapping[str, Any] = {"count": 0, "sequence": 0, "position": 0, "by_allocator": {}}

Summaries = Mapping[str, Mapping[str, Any]]


def evaluation_summary(
    summaries: Summaries, tries: Mapping[str, Any] = NO_TRIES, duels: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Compare allocators with baselines, and with what luck alone would show.

    Parameters
    ----------
    summaries : mapping of str to dict
        Allocator -> its summary (`allocator_summary.allocator_summary`), all with the same baselines.
    tries : mapping
        ``count``, ``sequence``, ``position`` and ``by_allocator`` of the ledger.
    duels : sequence of mapping
        As `duel` returns them.

    Returns
    -------
    dict
        In the shape that the module describes.

    Raises
    ------
    NotEnoughDataError
        If there is no summary, or no week that all of them have.
    ConflictError
        If two summaries were compared with different baselines.
    """
    weeks = _common_weeks(summaries)
    members = _columns(summaries, weeks, _members)
    net = {name: _net_in(summary, weeks) for name, summary in summaries.items()}
    policies = {name: own[POLICY] for name, own in net.items()}
    baselines = _baselines(summaries, net)
    trials = tries["count"] or sum(len(summary["years"]) for summary in summaries.values())
    result = {
        "format": FORMAT,
        "first_week": weeks[0],
        "last_week": weeks[-1],
        "weeks": len(weeks),
        "allocators": list(summaries),
        "tries": dict(tries),
        "trials": trials,
        "alike": alike(policies),
        "pairs": [
            pair(name, baseline, policies[name], net[name][baseline], trials)
            for name in summaries
            for baseline in baselines
        ],
        "duels": [{**row, "words": duel_words(row)} for row in duels],
        "deflated": _or_none(lambda: _deflated({**policies, **_anchor(baselines)}, members, trials)),
        "overfitting": _or_none(
            lambda: {
                **overfitting_probability(_columns(summaries, weeks, _seeds)),
                "recipes": len(summaries),
                "whole_recipes": [name for name, one in summaries.items() if one["recipes"]["walks"]],
            }
        ),
        "superiority": _or_none(
            lambda: {name: superior_ability(series, policies) for name, series in baselines.items()}
        )
        or {},
        "confidence_set": _or_none(lambda: confidence_set({**policies, **baselines})),
    }
    return {**result, "words": comparison_words(result)}


def pair(allocator: str, baseline: str, net: np.ndarray, other: np.ndarray, trials: int) -> dict[str, Any]:
    """Compare an allocator's weekly net returns with a baseline's, both of shape (T,)."""
    tested = _tested(net, other, trials)
    row = {
        "allocator": allocator,
        "baseline": baseline,
        "sharpe": float(sharpe_ratio(net)),
        "baseline_sharpe": float(sharpe_ratio(other)),
        **tested,
    }
    return {**row, "words": pair_words(row, len(net), trials)}


def duel(
    allocator: str, challenger: str, champion: str, net: np.ndarray, other: np.ndarray, trials: int
) -> dict[str, Any]:
    """Compare a challenger's weekly net returns with the champion's over weeks that both had not seen."""
    tested = _tested(net, other, trials)
    return _duel(allocator, challenger, champion, len(net), trials, tested)


def kept_duel(
    allocator: str, challenger: str, champion: str, weeks: int, trials: int, tests: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the same of a duel whose tests were made when it was judged, after so many tries."""
    verdict = verdict_of(tests["bootstrap"], tests["ledoit_wolf"])
    kept = {name: tests.get(name) for name in ("bootstrap", "ledoit_wolf", "deflated")}
    return _duel(allocator, challenger, champion, weeks, trials, {**kept, "verdict": verdict})


def _duel(
    allocator: str, challenger: str, champion: str, weeks: int, trials: int, tested: Mapping[str, Any]
) -> dict[str, Any]:
    sides = {"allocator": allocator, "challenger": challenger, "champion": champion}
    return {**sides, "weeks": weeks, "trials": trials, **tested}


def verdict_of(bootstrap: Mapping[str, Any] | None, ledoit_wolf: Mapping[str, Any] | None) -> str:
    """Return ``above``, ``below``, ``same``, ``tie`` or ``unknown``: a difference needs both tests."""
    if bootstrap is None or ledoit_wolf is None:
        return "unknown"
    if max(abs(bootstrap["low"]), abs(bootstrap["high"])) <= TIE:
        return "tie"
    if ledoit_wolf["p_value"] <= LEVEL and not bootstrap["low"] <= 0.0 <= bootstrap["high"]:
        return "above" if bootstrap["low"] > 0.0 else "below"
    return "same"


def _tested(net: np.ndarray, other: np.ndarray, trials: int) -> dict[str, Any]:
    """Test a difference both ways and deflate it; series that are equal in every week tie, however few the weeks."""
    tie = float(np.abs(net - other).max()) <= TIE
    against = net if tie else other  # what rounding left is not tested
    bootstrap = _or_none(lambda: sharpe_difference(net, against))
    ledoit_wolf = _or_none(lambda: sharpe_test(net, against))
    verdict = "tie" if tie else verdict_of(bootstrap, ledoit_wolf)
    deflated = None if tie else gain_after_tries(net, other, trials)
    return {"bootstrap": bootstrap, "ledoit_wolf": ledoit_wolf, "deflated": deflated, "verdict": verdict}


def gain_after_tries(net: ArrayLike, other: ArrayLike, trials: int) -> dict[str, Any] | None:
    """Return `deflated_gain`; None for fewer than 26 weeks, and where a difference does not vary."""
    try:
        return deflated_gain(net, other, trials)
    except (NotEnoughDataError, WeightsError):
        return None


def _common_weeks(summaries: Summaries) -> list[str]:
    if not summaries:
        raise NotEnoughDataError("There is no summary to compare.", todo="materialise allocator_summary first.")
    common = set.intersection(*(set(summary["weeks"]) for summary in summaries.values()))
    if len(common) < 2:
        raise NotEnoughDataError(
            "The allocators were not judged on the same weeks.", todo="materialise eval_reports of the same years."
        )
    return sorted(common)


def _rows(summary: Mapping[str, Any], weeks: Sequence[str]) -> list[int]:
    place = {week: row for row, week in enumerate(summary["weeks"])}
    return [place[week] for week in weeks]


def _net_in(summary: Mapping[str, Any], weeks: Sequence[str]) -> dict[str, np.ndarray]:
    rows = _rows(summary, weeks)
    return {name: np.asarray(series["weekly"]["net"])[rows] for name, series in summary["series"].items()}


def _baselines(summaries: Summaries, net: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the baselines' returns, in the order of `config.BASELINES`; the first summary's stand for all."""
    names = [
        {name for name, series in summary["series"].items() if series["role"] == "baseline"}
        for summary in summaries.values()
    ]
    if any(own != names[0] for own in names):
        raise ConflictError(
            "The summaries were compared with different baselines.", todo="materialise allocator_summary of all again."
        )
    order = sorted(names[0], key=lambda name: (BASELINES.index(name) if name in BASELINES else len(BASELINES), name))
    return {name: next(iter(net.values()))[name] for name in order}


def _columns(
    summaries: Summaries, weeks: Sequence[str], walks: Callable[[Mapping[str, Any]], Sequence[Sequence[float]]]
) -> np.ndarray:
    """Return some walks of every summary as columns, shape (T, N)."""
    return np.stack(
        [np.asarray(net)[_rows(summary, weeks)] for summary in summaries.values() for net in walks(summary)], axis=1
    )


def _members(summary: Mapping[str, Any]) -> list[Sequence[float]]:
    return [member["net"] for member in summary["seeds"][UNSHRUNK]]


def _seeds(summary: Mapping[str, Any]) -> list[Sequence[float]]:
    """Return whole recipes where they exist, else members, unshrunk."""
    return [walk["unshrunk_net"] for walk in summary["recipes"]["walks"]] or _members(summary)


def _anchor(baselines: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return equal weight, if it is among the baselines: it shows what is high without any skill."""
    return {name: net for name, net in baselines.items() if name == ANCHOR}


def _deflated(served: Mapping[str, np.ndarray], members: np.ndarray, trials: int) -> dict[str, dict[str, Any]]:
    """Deflate what is served; the members of all, unshrunk, say how far tries spread, which shrinkage would hide."""
    spread = sharpe_ratio(members.T)
    several = len(spread) > 1
    found = {}
    for name, net in served.items():
        item = deflated_sharpe(net, spread if several else [], max(trials, len(spread)) if several else 1)
        found[name] = {
            "sharpe": float(sharpe_ratio(net)),
            "benchmark": item["benchmark"],
            "probability": item["probability"],
            "trials": item["trials"],
        }
    return found


def _or_none(compute: Callable[[], Any]) -> Any:
    """Return what there are weeks enough for, or None."""
    try:
        return compute()
    except NotEnoughDataError:
        return None
