"""Everything up to the first champions, at the hour before the first week."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

from allocator_pipeline.config import BASELINES, FORECASTERS, Settings
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline_tests.soak.clock import Clock
from allocator_pipeline_tests.soak.database import impatient
from allocator_pipeline_tests.soak.world import ALLOCATORS, MARKET_YEAR, World

STATE_YEAR, POLICY_YEAR, YEAR = 2020, 2022, 2024
START = pd.Timestamp("2024-01-05 23:00", tz="UTC")  # the Friday before the first refresh


def prepare(world: World) -> None:
    """Make everything up to the first champions."""
    settings, clock = world.settings, Clock(START)
    before, last = str(YEAR - 1), f"{YEAR - 1}"
    with clock.injected(), impatient(), _home(settings):
        definitions = build_definitions(settings)

        def run(assets: Sequence[str], first: str, to: str, config: dict[str, dict[str, object]] | None = None) -> None:
            run_task(Task("base", tuple(assets), first, to, config=config or {}), settings, definitions)

        run(("prices", "sentiment", "fundamentals"), str(MARKET_YEAR), str(YEAR))
        features = ("universe", "signals", "outcomes", "price_windows", "external_forecasts")
        run(features, str(STATE_YEAR), str(YEAR))
        names = (FORECASTERS[0], FORECASTERS[-1])
        one = {"forecasts": {"processes": 1}}
        run(("forecasts", "state_tensors"), f"{names[0]}|{STATE_YEAR}", f"{names[1]}|{before}", one)
        run(("baseline_weights",), f"{BASELINES[0]}|{before}", f"{BASELINES[-1]}|{before}")
        for name in ALLOCATORS:
            run(("trained_policies",), f"{name}|{POLICY_YEAR}", f"{name}|{POLICY_YEAR}")
            run(("eval_reports",), f"{name}|{last}", f"{name}|{last}")
            run(("promoted_policies", "promotion_history"), name, name)
    world.note(START)


@contextmanager
def _home(settings: Settings) -> Iterator[None]:
    before = os.environ.pop("DAGSTER_HOME", None)
    dagster_home(settings)
    try:
        yield
    finally:
        os.environ.pop("DAGSTER_HOME")
        if before is not None:
            os.environ["DAGSTER_HOME"] = before
