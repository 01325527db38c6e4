"""Quarterly ratios: their formulas, and generated ones for the markets without fundamentals."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from allocator_pipeline.config import RATIOS
from allocator_pipeline.schemas import FUNDAMENTALS, validate

RATIO_PARTS = {
    "gross_margin": ("gross_profit", "revenue"),
    "operating_margin": ("operating_income", "revenue"),
    "net_margin": ("net_income", "revenue"),
    "current_ratio": ("current_assets", "current_liabilities"),
    "debt_to_equity": ("total_debt", "equity"),
}
"""Numerator and denominator of each ratio, in the currency of the statement."""

SIMULATED = "simulated"

_LEVELS = {  # mean and spread over companies of the generated ratios
    "gross_margin": (0.45, 0.12),
    "operating_margin": (0.18, 0.06),
    "net_margin": (0.11, 0.04),
    "current_ratio": (1.60, 0.40),
    "debt_to_equity": (0.80, 0.30),
}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, where that means something.

    Parameters
    ----------
    numerator, denominator : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        NaN where either is absent or the denominator is not positive.
    """
    numerator, denominator = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    usable = np.isfinite(numerator) & np.isfinite(denominator) & (denominator > 0)
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=usable)


def generated_fundamentals(
    symbols: Sequence[str], year: int, seed: int, banks: Collection[str] = (), until: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return generated quarterly ratios that became known in a year and know nothing of any return.

    Each company has a level of its own, around which every quarter is drawn from the seed, the symbol and the quarter
    alone. A quarter is released 25 to 45 days after its end.

    Parameters
    ----------
    symbols : sequence of str
    year : int
        Year of the release.
    seed : int
    banks : collection of str
        Symbols whose statements have neither a gross profit nor current accounts: those ratios are absent.
    until : Timestamp, optional
        Leave out what is released after this instant.

    Returns
    -------
    DataFrame
        `schemas.FUNDAMENTALS`, with source ``"simulated"``.
    """
    rows = []
    for symbol in symbols:
        key = int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8], "big")
        level = np.random.default_rng([seed, key]).standard_normal(len(RATIOS))
        for end in (f"{year - 1}-12-31", f"{year}-03-31", f"{year}-06-30", f"{year}-09-30"):
            period_end = pd.Timestamp(end)
            generator = np.random.default_rng([seed, key, period_end.year, period_end.month])
            lag, wobble = int(generator.integers(25, 46)), generator.standard_normal(len(RATIOS))
            released = period_end + pd.Timedelta(days=lag, hours=12)
            values = {
                name: _LEVELS[name][0] + _LEVELS[name][1] * (level[i] + 0.2 * wobble[i])
                for i, name in enumerate(RATIOS)
            }
            if symbol in banks:
                values["gross_margin"] = values["current_ratio"] = np.nan
            rows.append({"symbol": symbol, "period_end": period_end, "known_at": released, **values})
    table = pd.DataFrame(rows, columns=["symbol", "period_end", "known_at", *RATIOS])
    table["source"] = SIMULATED
    table = table.astype({"symbol": "str", "source": "str", "period_end": "datetime64[us]"})
    table["known_at"] = table["known_at"].astype("datetime64[us]").dt.tz_localize("UTC")
    if until is not None:
        table = table[table["known_at"] <= until]
    table = table.sort_values(["known_at", "symbol", "period_end"], ignore_index=True)
    return validate(table, FUNDAMENTALS, SIMULATED)
