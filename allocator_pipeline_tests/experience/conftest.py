"""Decisions of an allocator that holds some slots, on two made-up years."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from allocator_pipeline.config import CostConfig
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.inference import Portfolio, decide, decision_record, paper_portfolio
from allocator_pipeline.portfolio.rollout import ALL_CASH
from allocator_pipeline.portfolio.state import StateTensors, concatenate
from allocator_pipeline_tests.evaluation.conftest import Tilted, year_of_states

COSTS = CostConfig()
STATES = concatenate([year_of_states(2016), year_of_states(2017)])
EXIT_OF_JUNE_6 = pd.Timestamp("2016-06-13")


def make_decision(
    week: str = "2016-06-06",
    slots: tuple[int, ...] = (0, 1, 2),
    portfolio: Portfolio | None = None,
    states: StateTensors = STATES,
    attempt: int = 1,
    **changes: Any,
) -> Decision:
    """Decide a week, from cash unless a portfolio is given."""
    portfolio = Portfolio("cash", dict(ALL_CASH)) if portfolio is None else portfolio
    champion = (changes.pop("version", "v2015-12-28-abcdef"), Tilted(slots))
    decided = decide(changes.pop("allocator", "ppo_lstm"), champion, states, week, portfolio, COSTS, attempt)
    return decision_record(decided, attempt)


def next_decision(previous: Decision, week: str, slots: tuple[int, ...] = (1, 2, 3)) -> Decision:
    """Decide a week of the paper account."""
    return make_decision(week, slots, paper_portfolio(previous, week, STATES))


@pytest.fixture
def store(tmp_path: Path) -> ExperienceStore:
    return ExperienceStore(tmp_path / "experience.sqlite")
