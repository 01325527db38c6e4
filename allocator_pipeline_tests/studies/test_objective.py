from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.allocators.recipes import recipe
from allocator_pipeline.portfolio.objective import Objective
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.studies.objective import COLUMNS, COSTS, OPTIONS, figures, judged
from allocator_pipeline.studies.planted import planted_states
from allocator_pipeline.studies.tables import markdown, number


def test_cvar_is_the_mean_loss_of_the_worst_twentieth() -> None:
    walk = simulate(EqualWeight(COSTS).target_weights, planted_states(1, 100, 0.0), COSTS)
    assert figures(walk)["cvar"] == pytest.approx(-np.sort(walk.net)[:5].mean())
    assert figures(walk)["turnover"] == pytest.approx(walk.turnover.mean())


def test_a_turnover_penalty_is_felt_out_of_sample() -> None:
    short = dataclasses.replace(recipe("dpg", "default"), members=1, n_envs=4, total_steps=4 * 52 * 30)
    free, charged = judged(short, Objective(), [1]), judged(short, Objective(turnover=10.0), [1])
    assert charged["turnover"] < 0.8 * free["turnover"]
    assert free["captured"] > 0.3


def test_every_option_has_its_study() -> None:
    options = {field.name for field in dataclasses.fields(Objective)} - {"eta"}
    asked = {name for objective in OPTIONS.values() for name in options if getattr(objective, name)}
    assert asked == options


def test_numbers_and_tables_for_a_reader() -> None:
    assert [number(value) for value in (None, 1.239, -0.001)] == ["-", "1.24", "0.00"]
    values = ("captured", "sharpe", "volatility", "cvar", "max_drawdown", "turnover")
    row = {"allocator": "dpg", "option": "none", **dict.fromkeys(values, 0.5)}
    assert markdown([row], COLUMNS).splitlines()[2] == "| dpg | none | 0.50 | 0.50 | 0.500 | 0.5000 | 0.500 | 0.500 |"
