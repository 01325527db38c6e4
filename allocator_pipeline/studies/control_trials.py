"""One forecaster on one market of the control: walked forward as on real prices, and compared with the oracle.

The oracle ranks by the planted signal itself. Finished trials are lines of a file, as in `trials`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import FORECAST_CHAIN_YEARS, FORECASTERS
from allocator_pipeline.forecasters.base import ForecasterConfig
from allocator_pipeline.forecasters.chains import chain_start
from allocator_pipeline.forecasters.models import new_forecaster
from allocator_pipeline.forecasters.quality import rank_ic
from allocator_pipeline.forecasters.walk_forward import fit_forecaster, forecast_year
from allocator_pipeline.market import calendar
from allocator_pipeline.studies.control_market import ControlMarket, control_market, universe_table
from allocator_pipeline.studies.trials import code_digest

SHAPING = ("forecasters/", "studies/control_market.py", "studies/control_trials.py")
NOT_SHAPING = ("forecasters/workers.py",)
"""What computes a result, and, of the same rooms, what only passes it on."""

LIBRARIES = ("numpy", "pandas", "skfolio", "torch")


@dataclass(frozen=True)
class ControlTrial:
    """One walk.

    Parameters
    ----------
    forecaster : {"lstm", "patchtst", "ridge"}
    shape : str
        Name of `control_market.SHAPES`.
    strength : float
        Daily drift per unit of signal; 0 is the null.
    draw : int
        Number of the shuffle.
    years : tuple of int
        First year forecast and last.
    """

    forecaster: str
    shape: str
    strength: float
    draw: int
    years: tuple[int, int]

    def key(self) -> str:
        """Return a hash of all that shapes the result."""
        others = tuple(f"forecasters/{name}.py" for name in FORECASTERS if name != self.forecaster)
        shape = {
            **dataclasses.asdict(self),
            "config": dataclasses.asdict(new_forecaster(self.forecaster).config),
            "chain": FORECAST_CHAIN_YEARS,
            "code": code_digest(SHAPING, (*NOT_SHAPING, *others)),
            "libraries": [importlib.metadata.version(name) for name in LIBRARIES],
        }
        return sha256(canonical_json(shape))[:20]

    def __str__(self) -> str:
        planted = self.shape if self.strength else f"nothing ({self.shape})"
        return f"{self.forecaster}, {planted}, draw {self.draw}"


def walk(
    forecaster: str,
    years: Sequence[int],
    market: ControlMarket,
    seed: int = 0,
    config: ForecasterConfig | None = None,
) -> Mapping[str, np.ndarray]:
    """Forecast consecutive years of a control market and measure every week.

    Parameters
    ----------
    forecaster : {"lstm", "patchtst", "ridge"}
    years : sequence of int
    market : ControlMarket
    seed : int
        Seed of the networks.
    config : ForecasterConfig, optional
        Other hyperparameters than the forecaster's own.

    Returns
    -------
    mapping of str to ndarray, shape (weeks,)
        ``ic`` of the forecasts and ``oracle`` of the signal with the week's return, and ``align``, the correlation of
        forecasts and signal; all of ranks across stocks.
    """
    close = market.prices.pivot(index="date", columns="symbol", values="adj_close")
    result: dict[str, list[np.ndarray]] = {"ic": [], "oracle": [], "align": []}
    model = None
    for year in years:
        parent = None if chain_start(forecaster, year, years[0]) == year else model
        model = fit_forecaster(
            forecaster, year, market.prices, seed, has_volume=market.has_volume, config=config, parent=parent
        )
        table = forecast_year(model, year, market.prices, universe_table(year, list(close.columns)))
        said = table.pivot(index="week", columns="slot", values="forecast").to_numpy()
        weeks = calendar.weeks_of_year(year).iloc[: len(said)]
        weeks = weeks[weeks["exit_session"] <= close.index[-1]]
        said, columns = said[: len(weeks)], close.columns[: said.shape[1]]
        bought, sold = (close.loc[weeks[name], columns].to_numpy() for name in ("execution_session", "exit_session"))
        truth = market.signal.loc[weeks["decision_session"], columns].to_numpy()
        result["ic"].append(rank_ic(said, sold / bought))
        result["oracle"].append(rank_ic(truth, sold / bought))
        result["align"].append(rank_ic(said, truth))
    return {name: np.concatenate(parts) for name, parts in result.items()}


def run_control_trial(trial: ControlTrial) -> dict[str, Any]:
    """Walk one market.

    Returns
    -------
    dict
        Mean ``ic``, ``oracle`` and ``align``; ``recovered``, the share of the oracle's IC (None for the null);
        ``cpu_seconds`` of fitting, forecasting and measuring, ``wall_seconds`` of all.
    """
    began = time.perf_counter()
    market = control_market(trial.draw, trial.shape, trial.strength)
    started = time.process_time()
    weekly = walk(trial.forecaster, range(trial.years[0], trial.years[1] + 1), market)
    cpu = time.process_time() - started
    ic, oracle, align = (float(np.nanmean(weekly[name])) for name in ("ic", "oracle", "align"))
    return {
        "ic": ic,
        "oracle": oracle,
        "align": align,
        "recovered": ic / oracle if trial.strength else None,
        "cpu_seconds": cpu,
        "wall_seconds": time.perf_counter() - began,
    }
