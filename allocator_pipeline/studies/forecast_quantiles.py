"""How good the forecast quantiles are on the sample market, beside each stock's own quantiles of the last five years.

``python -m allocator_pipeline.studies.forecast_quantiles`` prints the table of docs/forecasters.md: pinball loss
(Koenker & Bassett 1978) and coverage, out of sample. Quantiles do not depend on which forecaster the expected return is
from, so those of `ridge` stand for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.features.outcomes import outcomes_table
from allocator_pipeline.forecasters.fold import training_fold
from allocator_pipeline.forecasters.walk_forward import fit_forecaster, forecast_year
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.universe import universe_of
from allocator_pipeline.studies.tables import markdown, number

FIRST_YEAR, LAST_YEAR = 1996, 2022

LEVELS = np.array(list(QUANTILES.values()))


def pinball(quantiles: np.ndarray, paid: np.ndarray) -> np.ndarray:
    """Return the pinball loss of each quantile, shape (T, 7), from quantiles (T, 7) and returns (T,)."""
    error = paid[:, None] - quantiles
    return np.maximum(LEVELS * error, (LEVELS - 1) * error)


def weeks_of(years: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return quantiles and what came of them, over the weeks and stocks of some years of the sample market.

    Returns
    -------
    tuple of ndarray
        Forecast quantiles (T, 7), each stock's empirical quantiles of the weeks of the five years before (T, 7), and
        weekly log returns (T,).
    """
    market = SampleMarket()
    bars = pd.concat([market.prices(year) for year in market.coverage().years], ignore_index=True)
    said, usual, paid = [], [], []
    for year in years:
        universe = universe_of(year, bars)
        table = forecast_year(fit_forecaster("ridge", year, bars), year, bars, universe)
        realised = np.log1p(outcomes_table(year, universe, bars, has_open=False)["return"].to_numpy()[: len(table)])
        fold = training_fold(year, bars, False, ["return"])
        own = pd.DataFrame(fold.returns, columns=list(fold.prices.symbols)).quantile(LEVELS)
        known = np.isfinite(realised)
        said.append(table[list(QUANTILES)].to_numpy()[known])
        usual.append(own[table["symbol"]].T.to_numpy()[known])
        paid.append(realised[known])
    return np.concatenate(said), np.concatenate(usual), np.concatenate(paid)


def measure(years: Sequence[int]) -> list[dict[str, Any]]:
    """Return one record for each level, and one for all: losses of both, their ratio, coverage of both."""
    said, usual, paid = weeks_of(years)
    ours, theirs = pinball(said, paid).mean(axis=0), pinball(usual, paid).mean(axis=0)
    covered, covered_usually = ((paid[:, None] <= quantiles).mean(axis=0) for quantiles in (said, usual))
    records = [
        {
            "level": float(level),
            "loss": float(ours[k]),
            "loss_of_own": float(theirs[k]),
            "ratio": float(ours[k] / theirs[k]),
            "coverage": float(covered[k]),
            "coverage_of_own": float(covered_usually[k]),
        }
        for k, level in enumerate(LEVELS)
    ]
    total = {"loss": float(ours.mean()), "loss_of_own": float(theirs.mean()), "ratio": float(ours.sum() / theirs.sum())}
    return [*records, {"level": None, **total, "coverage": None, "coverage_of_own": None}]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-year", type=int, default=FIRST_YEAR, help=f"first year forecast ({FIRST_YEAR})")
    parser.add_argument("--last-year", type=int, default=LAST_YEAR, help=f"last year forecast ({LAST_YEAR})")
    chosen = parser.parse_args(arguments)
    columns = {
        "level": lambda row: "all" if row["level"] is None else number(row["level"]),
        "pinball loss, basis points": lambda row: number(1e4 * row["loss"]),
        "of own quantiles": lambda row: number(1e4 * row["loss_of_own"]),
        "ratio": lambda row: number(row["ratio"], 3),
        "coverage": lambda row: number(row["coverage"], 3),
        "of own quantiles ": lambda row: number(row["coverage_of_own"], 3),
    }
    print(markdown(measure(range(chosen.first_year, chosen.last_year + 1)), columns))


if __name__ == "__main__":
    main()
