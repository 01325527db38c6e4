"""What a policy earns when its forecasts are someone else's: the stocks exchange them, for all weeks alike.

A draw is one permutation of the 15 slots. So the policy sees the same 15 paths of forecasts, each whole: their level
and spread in every week, how long a forecast lasts, how they move together, and so about as much turnover. What is
destroyed is which stock a path speaks of, and what it has in common with that stock's other signals. A permutation
anew each week would destroy the forecasts' persistence as well, and make a policy that trades little look skilled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from allocator_pipeline.evaluation.judged import Judged, served, unshrunk
from allocator_pipeline.evaluation.metrics import cagr, sharpe_ratio
from allocator_pipeline.portfolio.rollout import Rollout
from allocator_pipeline.portfolio.state import StateTensors

DRAWS = 299
"""So many that a two-sided p-value can survive a count of six allocators: none lies below 2 / 300."""
TOGETHER = 100
"""Draws that are walked at once; more take memory."""

SEED = 20_260_101
TIE = 1e-5
"""What rounding may make of equal Sharpe ratios; a policy that does not read the forecasts ties with its placebos."""


def shuffled_forecasts(states: StateTensors, draw: int, seed: int = SEED) -> StateTensors:
    """Return the same weeks with the forecasts of the 15 slots permuted at random, in all weeks alike."""
    order = np.random.default_rng([seed, draw]).permutation(states.forecasts.shape[1])
    return dataclasses.replace(states, forecasts=states.forecasts[:, order])


def placebo_test(judged: Judged, policy: Rollout, whole: Rollout, draws: int = DRAWS) -> dict[str, Any]:
    """Walk with shuffled forecasts, as served and unshrunk, beside the walks with the true ones.

    Parameters
    ----------
    judged : Judged
    policy, whole : Rollout
        With the true forecasts, as served and unshrunk.
    draws : int

    Returns
    -------
    dict
        ``draws`` (``seed``, ``sharpe``, ``cagr``, ``unshrunk_sharpe`` of each), ``sharpe`` and ``unshrunk_sharpe`` of
        the true forecasts, ``share_above`` (share of draws whose unshrunk Sharpe ratio is not below that).
    """
    pairs: list[tuple[Rollout, Rollout]] = []
    for start in range(0, draws, TOGETHER):
        worlds = [shuffled_forecasts(judged.states, draw) for draw in range(start, min(start + TOGETHER, draws))]
        pairs += zip(judged.walk_worlds(served, worlds), judged.walk_worlds(unshrunk, worlds), strict=True)
    rows = [
        {
            "seed": draw,
            "sharpe": float(sharpe_ratio(one.net)),
            "cagr": cagr(one.net),
            "unshrunk_sharpe": float(sharpe_ratio(other.net)),
        }
        for draw, (one, other) in enumerate(pairs)
    ]
    true = float(sharpe_ratio(whole.net))
    return {
        "draws": rows,
        "sharpe": float(sharpe_ratio(policy.net)),
        "unshrunk_sharpe": true,
        "share_above": float(np.mean([row["unshrunk_sharpe"] >= true - TIE for row in rows])),
    }


def placebo_p(placebo: Mapping[str, Any]) -> float:
    """Return the two-sided p-value of the true forecasts among the shuffled ones, by unshrunk Sharpe ratio.

    The true forecasts count as a draw (Phipson and Smyth 2010) and a tie counts on either side, so that a policy that
    does not read its forecasts has 1.

    Parameters
    ----------
    placebo : mapping
        As `placebo_test` returns it.
    """
    drawn, true = np.array([row["unshrunk_sharpe"] for row in placebo["draws"]]), placebo["unshrunk_sharpe"]
    nearer = min((drawn >= true - TIE).sum(), (drawn <= true + TIE).sum())
    return min(1.0, 2.0 * float(1 + nearer) / (1 + len(drawn)))


def least_p(draws: int) -> float:
    """Return the least p-value that so many draws can show."""
    return min(1.0, 2.0 / (1 + draws))
