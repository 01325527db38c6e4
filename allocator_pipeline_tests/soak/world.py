"""One folder of simulated weeks: where it lies, its clock, its champions, and all that came of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from allocator_pipeline.atomic import write_bytes
from allocator_pipeline.config import Settings, SimulatedConfig
from allocator_pipeline.defs.due import due_week
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market import calendar
from allocator_pipeline.registry.promotion import champion_for

ALLOCATORS = ("ppo_patchtst", "sac_lstm")
MARKET_YEAR = 2015
FIRST_WEEK = "2024-01-08"
ROOT = Path(__file__).parents[2]
LEFT_OUT = ("checkpoints", "experience.sqlite")
"""Of a market's folder: scratch of trainings, and a database whose rows are compared instead of its pages."""


@dataclass(frozen=True)
class World:
    """One folder of simulated weeks.

    Parameters
    ----------
    folder : Path
        Data folder.
    """

    folder: Path

    def copy(self, folder: Path) -> World:
        """Return a copy of it."""
        return World(Path(shutil.copytree(self.folder, folder)))

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

    @property
    def now(self) -> pd.Timestamp:
        """The time noted last; it lies beside what is compared."""
        return pd.Timestamp((self.folder / "clock").read_text())

    def note(self, now: pd.Timestamp) -> None:
        """Note the time."""
        write_bytes(self.folder / "clock", str(now).encode())

    def log(self, name: str, line: str) -> None:
        """Append a line to a log that lies beside what is compared."""
        with (self.folder / f"{name}.log").open("a") as file:
            file.write(f"{line}\n")

    def logged(self, name: str) -> list[str]:
        """Return the lines of a log."""
        path = self.folder / f"{name}.log"
        return path.read_text().splitlines() if path.exists() else []

    def start(self, until: pd.Timestamp, share: float = 0.0, seed: int = 0) -> subprocess.Popen[str]:
        """Start an operator that lives until an instant."""
        command = [sys.executable, "-m", "allocator_pipeline_tests.soak.operator", str(until), str(share), str(seed)]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def verdicts(self) -> dict[str, list[str]]:
        """Return the seals of every allocator's verdicts; champion, log and files of each verify."""
        week, seals = max(due_week(self.now), FIRST_WEEK), {}
        for name in ALLOCATORS:
            champion_for(self.store.verdicts(name), self.store.models, week)
            seals[name] = [verdict.sha256 for verdict in self.store.verdicts(name).history()]
        return seals

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


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for an operator and refuse its failure."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-4000:]


def end_of(weeks: int) -> pd.Timestamp:
    """Return an instant by which so many weeks from the first are decided and labelled: two Sundays after the last."""
    last = calendar.shift_week(FIRST_WEEK, weeks - 1)
    return (last + pd.Timedelta(days=14)).tz_localize("UTC")


def weeks_from_first(weeks: int) -> list[str]:
    """Return the Mondays of the soak."""
    return [str(calendar.shift_week(FIRST_WEEK, count).date()) for count in range(weeks)]
