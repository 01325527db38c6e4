"""A soak: simulated weeks with failing reads and kills beside the same weeks undisturbed, and what must hold then."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import pandas as pd

from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.config import BASELINES, FORECASTERS, Settings, SimulatedConfig
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.due import due_week
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.promotion import champion_for
from allocator_pipeline_tests.soak.clock import Clock
from allocator_pipeline_tests.soak.operator import clock_file

ALLOCATORS = ("ppo_patchtst", "sac_lstm")
MARKET_YEAR, STATE_YEAR, POLICY_YEAR, YEAR = 2015, 2020, 2022, 2024
START = pd.Timestamp("2024-01-05 23:00", tz="UTC")  # the Friday before the first refresh
ROOT = Path(__file__).parents[2]
WEEK_SECONDS = 20.0
"""About what a week takes on a quiet core; a kill falls within it."""
LEFT_OUT = ("checkpoints", "experience.sqlite")
"""Of a market's folder: scratch of trainings, and a database whose rows are compared instead of its pages."""


@dataclass(frozen=True)
class Soak:
    """One folder of simulated weeks.

    Parameters
    ----------
    folder : Path
        Data folder.
    """

    folder: Path

    @property
    def settings(self) -> Settings:
        market = SimulatedConfig(seed=3, start=date(MARKET_YEAR, 1, 1), n_symbols=17, weekly_ic=0.3)
        return Settings(market="simulated", data_dir=self.folder, min_training_years=3, simulated=market)

    @property
    def environment(self) -> dict[str, str]:
        market = self.settings.simulated
        return {
            **{name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
            "ALLOCATOR_MARKET": "simulated",
            "ALLOCATOR_DATA_DIR": str(self.folder),
            "ALLOCATOR_MIN_TRAINING_YEARS": "3",
            "ALLOCATOR_SIMULATED_SEED": str(market.seed),
            "ALLOCATOR_SIMULATED_START": market.start.isoformat(),
            "ALLOCATOR_SIMULATED_SYMBOLS": str(market.n_symbols),
            "ALLOCATOR_SIMULATED_IC": str(market.weekly_ic),
            "OMP_NUM_THREADS": "1",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "PYTHONPATH": str(ROOT),
        }

    @property
    def store(self) -> StoreResource:
        return StoreResource(root=str(self.settings.market_dir.absolute()))

    def now(self) -> pd.Timestamp:
        return pd.Timestamp(clock_file(self.settings).read_text())

    def start(self, until: pd.Timestamp, share: float = 0.0, seed: int = 0) -> subprocess.Popen[str]:
        """Start an operator that lives until an instant."""
        command = [sys.executable, "-m", "allocator_pipeline_tests.soak.operator", str(until), str(share), str(seed)]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def check_champions(self) -> None:
        """Every allocator has a champion whose log and files verify."""
        week = due_week(self.now())
        for name in ALLOCATORS:
            champion_for(self.store.verdicts(name), self.store.models, max(week, "2024-01-08"))

    def contents(self) -> dict[str, bytes]:
        """Return every result by its name below the market's folder."""
        root = self.settings.market_dir
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
            and path.relative_to(root).parts[0] not in LEFT_OUT
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
            and path.suffix != ".lock"
        }


def prepare(soak: Soak) -> None:
    """Make everything up to the first champions, at the hour before the first week."""
    settings, clock = soak.settings, Clock(START)
    before, last = str(YEAR - 1), f"{YEAR - 1}"
    with clock.injected(), _home(settings):
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
    write_bytes(clock_file(settings), str(START).encode())


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


@dataclass
class Disturber:
    """Kills the operator at random moments and starts it again until it has lived through its weeks.

    Parameters
    ----------
    soak : Soak
    until : Timestamp
    share : float
        Of the source's reads that fail.
    kills : int
    seed : int
    """

    soak: Soak
    until: pd.Timestamp
    share: float
    kills: int
    seed: int
    killed_at: list[str] = field(default_factory=list)

    def run(self, week_seconds: float) -> None:
        """Live through it; a kill falls at most a week's seconds after a random simulated instant."""
        rng = random.Random(self.seed)
        span = (self.until - START) * 0.95
        moments = sorted(START + span * rng.random() for _ in range(self.kills))
        process = self.soak.start(self.until, self.share, self.seed)
        for moment in moments:
            while self.soak.now() < moment and process.poll() is None:
                time.sleep(0.2)
                self.soak.check_champions()
            time.sleep(rng.uniform(0.0, week_seconds))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                self.killed_at.append(str(self.soak.now()))
            process.communicate()
            self.soak.check_champions()
            process = self.soak.start(self.until, self.share, self.seed)
        finish(process)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for an operator and refuse its failure."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-4000:]


def end_of(weeks: int) -> pd.Timestamp:
    """Return an instant by which so many weeks from the first are decided and labelled: two Sundays after the last."""
    last = calendar.shift_week("2024-01-08", weeks - 1)
    return (last + pd.Timedelta(days=14)).tz_localize("UTC")


def weeks_from_first(weeks: int) -> list[str]:
    """Return the Mondays of the soak."""
    return [str(calendar.shift_week("2024-01-08", count).date()) for count in range(weeks)]


def check(soak: Soak, weeks: int) -> None:
    """Each week is decided, labelled, booked and scored once for each allocator, and the ledger reconciles."""
    wanted = weeks_from_first(weeks)
    for name in ALLOCATORS:
        rows = soak.store.experience.records(name)
        assert [row.decision.week_start for row in rows][:weeks] == wanted
        assert all(row.label is not None for row in rows[:weeks])
        booked = soak.store.account(name).history()
        assert [week.week for week in booked][:weeks] == wanted
        for week, row in zip(booked[:weeks], rows, strict=False):
            assert abs(week.reconciliation_error) < 1e-9
            assert week.actual_weights == row.label.actual_weights
        for before, after in pairwise(booked):
            assert after.nav_before == before.nav
        papers = {key for key in soak.store.assets.keys("paper_evaluations") if key.startswith(f"{name}|")}
        assert {f"{name}|{week}" for week in wanted} <= papers
    soak.check_champions()


def compare(disturbed: Soak, undisturbed: Soak) -> list[str]:
    """Return the names of results that differ."""
    one, other = disturbed.contents(), undisturbed.contents()
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    rows = [soak.store.experience.records() for soak in (disturbed, undisturbed)]
    return [*names, *(["experience.sqlite"] if rows[0] != rows[1] else [])]


def copy(base: Soak, folder: Path) -> Soak:
    """Return a copy of a prepared folder."""
    shutil.copytree(base.folder, folder)
    return Soak(folder)


@dataclass(frozen=True)
class Found:
    """What a soak found.

    Parameters
    ----------
    killed_at : list of str
        Simulated instants.
    differing : list of str
        Results that differ from those of the undisturbed weeks.
    """

    killed_at: list[str]
    differing: list[str]


def soak(base: Soak, folder: Path, weeks: int, kills: int, share: float, seed: int) -> Found:
    """Live through some weeks twice, side by side: undisturbed, and with failing reads and kills.

    Parameters
    ----------
    base : Soak
        Where the first champions are made, if they are not there.
    folder : Path
        Where both are lived.
    weeks, kills : int
    share : float
        Of the source's reads that fail.
    seed : int
    """
    if not clock_file(base.settings).exists():
        prepare(base)
    until = end_of(weeks)
    undisturbed, disturbed = copy(base, folder / "undisturbed"), copy(base, folder / "disturbed")
    calm = undisturbed.start(until)
    disturber = Disturber(disturbed, until, share, kills, seed)
    try:
        disturber.run(WEEK_SECONDS)
        finish(calm)
    finally:
        calm.kill()
    for one in (undisturbed, disturbed):
        check(one, weeks)
    return Found(disturber.killed_at, compare(disturbed, undisturbed))
