"""Put signals, forecasts and outcomes of a year together into state tensors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.portfolio.state import StateTensors


def build_states(year: int, signals: pd.DataFrame, forecasts: pd.DataFrame, outcomes: pd.DataFrame) -> StateTensors:
    """Return the state tensors of a year's decidable weeks.

    Parameters
    ----------
    year : int
    signals, forecasts, outcomes : DataFrame
        `schemas.SIGNALS_TABLE`, `schemas.FORECASTS` and `schemas.OUTCOMES` of the year. The weeks are those of the
        outcomes, which end with the last week that the prices can decide.

    Returns
    -------
    StateTensors
        T weeks; missing signals are 0 and masked.

    Raises
    ------
    MissingPartitionError
        If a table lacks a week of the outcomes, or they hold different symbols.
    """
    weeks = outcomes["week"].drop_duplicates().sort_values().reset_index(drop=True)
    if weeks.empty or (weeks.dt.year != year).any():
        raise MissingPartitionError(
            f"The outcomes hold no week of {year}, or weeks of another year.",
            todo=f"materialise outcomes of {year} after its first decision session has closed.",
        )
    symbols = outcomes.sort_values(["week", "slot"])["symbol"].to_numpy(dtype=str).reshape(len(weeks), N_STOCKS)
    raw = _by_slot(signals, list(SIGNALS), weeks, symbols, "signals")
    forecast = _by_slot(forecasts, ["forecast"], weeks, symbols, "forecasts")[..., 0]
    paid = _by_slot(outcomes, ["return", "mark"], weeks, symbols, "outcomes")
    missing = np.isnan(raw)
    return StateTensors(
        weeks=weeks.to_numpy().astype("datetime64[D]"),
        symbols=symbols,
        signals=np.where(missing, 0.0, raw),
        missing=missing,
        forecasts=forecast,
        returns=paid[..., 0],
        marks=paid[..., 1],
    )


def _by_slot(table: pd.DataFrame, columns: list[str], weeks: pd.Series, symbols: np.ndarray, name: str) -> np.ndarray:
    """Return columns of a table by week and slot, shape (T, 15, len(columns)), having checked that all is there."""
    rows = table[table["week"].isin(weeks)].sort_values(["week", "slot"])
    expected = pd.MultiIndex.from_product([weeks, range(N_STOCKS)])
    present = pd.MultiIndex.from_frame(rows[["week", "slot"]])
    lacking = expected.difference(present)
    if len(lacking) or len(rows) != len(expected):
        week = f"{lacking.get_level_values(0)[0]:%Y-%m-%d}" if len(lacking) else None
        raise MissingPartitionError(
            f"The {name} do not cover the decidable weeks and 15 slots of the year exactly.",
            todo=f"materialise {name} of that year again.",
            week=week,
        )
    wrong = rows["symbol"].to_numpy(dtype=str) != symbols.ravel()
    if wrong.any():
        row = rows[wrong].iloc[0]
        raise MissingPartitionError(
            f"The {name} hold another symbol in slot {row['slot']} than the outcomes do.",
            todo=f"materialise universe, then {name} of that year again.",
            symbol=str(row["symbol"]),
            week=str(row["week"].date()),
        )
    values = np.ascontiguousarray(rows[columns].to_numpy(dtype=np.float64))
    return values.reshape(len(weeks), N_STOCKS, len(columns))
