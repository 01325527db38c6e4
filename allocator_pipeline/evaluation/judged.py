"""The weeks that policies decided out of sample, and walks through them by the policies or by a part of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConflictError
from allocator_pipeline.evaluation.walk_forward import (
    check_out_of_sample,
    check_policy_years,
    known_weeks,
    year_by_year,
)
from allocator_pipeline.portfolio.rollout import Rollout, simulate
from allocator_pipeline.portfolio.state import Observation, StateTensors
from allocator_pipeline.portfolio.worlds import simulate_worlds

if TYPE_CHECKING:
    from allocator_pipeline.allocators.policy import Policy

Change = Callable[["Policy"], "Policy"]
"""What is walked in place of a policy: itself, all of its tilt, or one of its members."""


@dataclass(frozen=True)
class Judged:
    """An allocator's judged weeks; the policy of y-1 decides those of y.

    Parameters
    ----------
    policies : mapping of int to Policy
        By policy year, without a gap.
    states : StateTensors
        The judged weeks, all known.
    calendar : DataFrame
        Their rows of the calendar.
    costs : CostConfig
    """

    policies: Mapping[int, Policy]
    states: StateTensors
    calendar: pd.DataFrame
    costs: CostConfig

    @classmethod
    def of(cls, policies: Mapping[int, tuple[str, Policy]], states: StateTensors, costs: CostConfig) -> Judged:
        """Return the known weeks that some policies, with their versions, may be judged on.

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
        states, calendar = known_weeks(states, [year + 1 for year in sorted(policies)])
        check_out_of_sample(policies, {}, calendar)
        return cls({year: policy for year, (_, policy) in sorted(policies.items())}, states, calendar, costs)

    @property
    def years(self) -> np.ndarray:
        """Year of each week, shape (T,)."""
        return self.calendar["year"].to_numpy()

    def decide(self, change: Change) -> Callable[[Observation], np.ndarray]:
        """Return who decides when each policy is changed."""
        return year_by_year({year: change(policy) for year, policy in self.policies.items()}, self.calendar)

    def walk(self, decide: Callable[[Observation], np.ndarray]) -> Rollout:
        """Walk through all weeks, starting in cash."""
        return simulate(decide, self.states, self.costs)

    def walk_worlds(self, change: Change, worlds: Sequence[StateTensors]) -> list[Rollout]:
        """Walk through several worlds that differ in what is seen of the same weeks."""
        return simulate_worlds(self.decide(change), worlds, self.costs)


def served(policy: Policy) -> Policy:
    """Return the policy as it is served."""
    return policy


def unshrunk(policy: Policy) -> Policy:
    """Return the policy with all of its tilt."""
    return policy.unshrunk()


def check_judged(report: Mapping[str, Any], versions: Mapping[int, str]) -> None:
    """Refuse to look at policies that a report has not judged: the ledger has not counted that look as a try.

    Parameters
    ----------
    report : mapping
        The newest of the allocator, as `walk_forward.eval_report` returns it.
    versions : mapping of int to str
        By policy year: what is to be looked at. The policy of y-1 decides the weeks of y.

    Raises
    ------
    ConflictError
        Naming the years that other policies decided in the report.
    """
    judged = report["walk_forward"].get("versions", {})
    others = [year + 1 for year, version in sorted(versions.items()) if judged.get(str(year + 1)) != version]
    if others:
        last = report["year"]
        raise ConflictError(
            f"The report of {last} has not judged the policies that are to decide {_listed(others)}, so that no try "
            "counts the look at them.",
            todo=f"materialise eval_reports of {_listed(sorted({*others, last}))} first: that records the try.",
            source=f"eval_reports {report['allocator']}|{last}",
        )


def _listed(years: Sequence[int]) -> str:
    return ", ".join(map(str, years))
