"""The weights of the volatility outlook (`forecasters.inputs.OUTLOOK`), estimated on a market of other years.

``python -m allocator_pipeline.studies.volatility relatives.parquet`` reads daily price relatives (close over the close
before; a row a day, a column a stock), prints the weights that fit them best, on all days and on either half, and how
good quantiles with the weights in use are there, beside each stock's own of the five years before.

A gamma regression with a logarithmic link (McCullagh & Nelder 1989) of the size of weekly returns. It takes no
logarithm of a return, which may be 0, and its loss is the likelihood of Laplace's distribution too, which minds
outliers less than the Gaussian one does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import FORECAST_TRAINING_YEARS
from allocator_pipeline.evaluation.forecast_weeks import LEVELS, pinball
from allocator_pipeline.forecasters import inputs, targets
from allocator_pipeline.studies.tables import markdown, number

YEAR = 252
"""Sessions."""

STEPS = 50
"""Of the regression; it has converged after ten."""

UNIT = "own 125"
"""The volatility whose weight is what those of the others leave of 1."""


def weekly_returns(returns: np.ndarray) -> np.ndarray:
    """Return the log return of the week that each day decides, shape (T, N), from daily log returns, all known."""
    return targets.weekly_returns(np.exp(returns.cumsum(axis=0)))


def estimated(returns: np.ndarray) -> dict[str, float]:
    """Return the weights that describe a market best.

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)
        Daily log returns, all known.

    Returns
    -------
    dict of str to float
        In the order of `inputs.OUTLOOK`; those of volatilities add up to 1.
    """
    terms = dict(zip(inputs.OUTLOOK, inputs.outlook_terms(returns), strict=True))
    unit = terms.pop(UNIT)
    relative = [term if "trend" in name else term - unit for name, term in terms.items()]
    design = np.stack([np.ones(returns.shape), *relative], axis=-1)
    size = np.abs(weekly_returns(returns)) / np.exp(unit)
    known = np.isfinite(design).all(axis=-1) & np.isfinite(size)
    found = dict(zip(terms, _gamma_regression(design[known], size[known])[1:].tolist(), strict=True))
    found[UNIT] = 1.0 - sum(weight for name, weight in found.items() if "trend" not in name)
    return {name: found[name] for name in inputs.OUTLOOK}


def _gamma_regression(design: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the coefficients of the logarithm of the expected size, by iterated least squares."""
    found = np.zeros(design.shape[1])
    found[0] = np.log(size.mean())  # of the column of ones
    for _ in range(STEPS):
        found = found + np.linalg.lstsq(design, size * np.exp(-(design @ found)) - 1.0)[0]
    return found


def ratio(returns: np.ndarray) -> float:
    """Return the pinball loss of quantiles made with `inputs.OUTLOOK` over that of each stock's own.

    Every year has the pooled quantiles of the five years before it; the opponent has each stock's own of the five years
    before each decision. Decisions are five sessions apart.

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)
        Daily log returns, all known, of more than six years.
    """
    paid, sigma, window = weekly_returns(returns), inputs.outlook(returns), FORECAST_TRAINING_YEARS * YEAR
    ours = theirs = 0.0
    for first in range(window + YEAR, len(paid) - targets.EXIT, YEAR):
        past = slice(first - window, first - targets.EXIT + 1)
        pooled = np.nanquantile(paid[past] / sigma[past], LEVELS)
        for day in range(first, min(first + YEAR, len(paid) - targets.EXIT), inputs.HORIZON):
            own = np.quantile(paid[day - window : day - targets.EXIT + 1], LEVELS, axis=0).T
            ours += float(pinball(sigma[day][:, None] * pooled, paid[day]).sum())
            theirs += float(pinball(own, paid[day]).sum())
    return ours / theirs


def read_relatives(path: Path) -> np.ndarray:
    """Return daily log returns, shape (T, N), from a table of price relatives (parquet or CSV)."""
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return np.log(table.to_numpy(dtype=np.float64))


def _weight(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: number(row[name])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the weights and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("relatives", type=Path, help="daily price relatives, a column a stock (parquet or CSV)")
    returns = read_relatives(parser.parse_args(arguments).relatives)
    half = len(returns) // 2
    parts = {"all": returns, "first half": returns[:half], "second half": returns[half:]}
    records: list[dict[str, Any]] = [{"days": "in use", **inputs.OUTLOOK}]
    records += [{"days": days, **estimated(part)} for days, part in parts.items()]
    print(markdown(records, {"days": itemgetter("days")} | {name: _weight(name) for name in inputs.OUTLOOK}))
    print(f"\nPinball loss of quantiles with the weights in use, of each stock's own: {ratio(returns):.4f}")


if __name__ == "__main__":
    main()
