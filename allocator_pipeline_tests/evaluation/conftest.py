"""A made-up market of three years whose universe changes every year, and simple allocators for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.market.calendar import weeks_of_year
from allocator_pipeline.portfolio.state import Observation, StateTensors, concatenate

CONTEXT = {
    "market": "made-up",
    "universe": "point_in_time",
    "execution": "open of the first session",
    "notes": ["Survivorship: none.", "News is simulated."],
}


VERSIONS = {2015: "v2015-12-28-aaa015", 2016: "v2016-12-27-aaa016", 2017: "v2017-12-26-aaa017"}


def year_of_states(year: int, seed: int = 0) -> StateTensors:
    """Return a year with random returns; each year one stock leaves and another joins in its slot."""
    rng = np.random.default_rng([seed, year])
    weeks = weeks_of_year(year)["week"].to_numpy().astype("datetime64[D]")
    count = len(weeks)
    names = [f"S{slot:02d}" for slot in range(15)]
    names[year % 15] = f"J{year}"
    returns = rng.normal(0.002, 0.03, (count, 15))
    return StateTensors(
        weeks=weeks,
        symbols=np.tile(np.array(names), (count, 1)),
        signals=rng.normal(size=(count, 15, 7)),
        missing=np.zeros((count, 15, 7), dtype=bool),
        forecasts=rng.normal(0, 0.01, (count, 15)),
        returns=returns,
        marks=returns + rng.normal(0, 0.001, (count, 15)),
    )


@dataclass
class Tilted:
    """Holds 10 % in some slots, the rest in cash, and remembers what it saw."""

    slots: tuple[int, ...]
    seen: list[Observation] = field(default_factory=list)

    def target_weights(self, observation: Observation) -> np.ndarray:
        """Return the fixed weights."""
        self.seen.append(observation)
        weights = np.zeros(16)
        weights[list(self.slots)] = 0.10
        weights[-1] = 1 - 0.10 * len(self.slots)
        return weights


@pytest.fixture(scope="session")
def states() -> StateTensors:
    return concatenate([year_of_states(year) for year in (2016, 2017, 2018)])


@pytest.fixture(scope="session")
def report_of(states: StateTensors) -> Callable[..., dict[str, Any]]:
    """Make the report of 2018, with some inputs changed."""
    from allocator_pipeline.evaluation.walk_forward import eval_report

    def make(**changes: Any) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "allocator": "ppo_lstm",
            "year": 2018,
            "policies": {year: (VERSIONS[year], Tilted(tuple(range(8)))) for year in VERSIONS},
            "states": states,
            "baselines": {"equal_weight": Tilted(tuple(range(9))), "hrp": Tilted((0, 2, 4, 6, 8, 10))},
            "reference": {"reference": ("v2015-12-28-ffffff", Tilted((1, 2, 3)))},
            "costs": CostConfig(),
            "context": CONTEXT,
        }
        return eval_report(**(inputs | changes))

    return make


@pytest.fixture(scope="session")
def reports(report_of: Callable[..., dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return a report of each allocator; one of each pair has a reference."""
    slots = {"ppo_lstm": 8, "ppo_patchtst": 7, "sac_lstm": 6, "sac_patchtst": 5}
    return {
        allocator: report_of(
            allocator=allocator,
            policies={year: (VERSIONS[year], Tilted(tuple(range(count)))) for year in VERSIONS},
            **({} if allocator.endswith("lstm") else {"reference": {}}),
        )
        for allocator, count in slots.items()
    }


@pytest.fixture(scope="session")
def verdicts(reports: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return two verdicts on the first allocator, the later on its latest report, and none on the others."""
    report = reports["ppo_lstm"]
    first = {
        "number": 1,
        "allocator": "ppo_lstm",
        "kind": "report",
        "candidate": VERSIONS[2016],
        "champion": VERSIONS[2016],
        "prior": None,
        "promoted": True,
        "outcome": "promoted",
        "reason": "It is the first policy judged.",
        "effective_week": "2018-01-08",
        "source": "report:ppo_lstm|2017",
        "source_sha256": "1" * 64,
        "evidence": {"metric": "sharpe"},
        "previous_sha256": "0" * 64,
    }
    second = first | {
        "number": 2,
        "candidate": report["candidate"],
        "prior": VERSIONS[2016],
        "promoted": False,
        "outcome": "kept",
        "reason": "Net Sharpe ratio is not above that of HRP.",
        "effective_week": "2019-01-14",
        "source": "report:ppo_lstm|2018",
        "source_sha256": "2" * 64,
        "previous_sha256": "3" * 64,
    }
    return {"ppo_lstm": [first, second], "sac_lstm": []}
