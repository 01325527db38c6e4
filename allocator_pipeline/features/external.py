"""Forecasts from elsewhere as a decision could see them: cut by the look-ahead gate, laid out by week and slot."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS, QUANTILES
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.features.panel import decidable_weeks, known

NUMBERS = ("forecast", *QUANTILES)


def external_forecasts(
    year: int, universe: pd.DataFrame, rows: pd.DataFrame, last_session: pd.Timestamp
) -> pd.DataFrame:
    """Return what the forecasters of a table had said at each decision of a year.

    Of several rows about a stock and week, the last one known before the decision counts; one known at the decision or
    later is not seen.

    Parameters
    ----------
    year : int
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    rows : DataFrame
        `schemas.EXTERNAL_FORECASTS`, any weeks and symbols.
    last_session : Timestamp
        Last session with prices.

    Returns
    -------
    DataFrame
        `schemas.OTHER_FORECASTS`: for each forecaster, the decidable weeks of the year from its first to its last week
        in the table, all 15 slots each; NaN where it said nothing in time.
    """
    stocks = universe.sort_values("slot")["symbol"].astype(str).tolist()
    weeks = decidable_weeks(year, last_session)
    parts = []
    for forecaster, own in rows.groupby("forecaster", sort=True):
        spoken = weeks[weeks["week"].between(own["week"].min(), own["week"].max())]
        by_week = dict(iter(own[own["week"].isin(spoken["week"])].groupby("week")))
        for week, instant in zip(spoken["week"], spoken["decision_at"], strict=True):
            said = known(by_week.get(week, own.iloc[:0]), instant).sort_values("known_at")
            latest = said.drop_duplicates("symbol", keep="last").set_index("symbol").reindex(stocks)
            parts.append(
                pd.DataFrame(
                    {
                        "week": week,
                        "decision_at": instant,
                        "slot": np.arange(N_STOCKS, dtype=np.int64),
                        "symbol": stocks,
                        **{name: latest[name].to_numpy(dtype=np.float64) for name in NUMBERS},
                        "forecaster": forecaster,
                        "model_version": latest["model_version"].fillna("").to_numpy(),
                    }
                )
            )
    return typed(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(_TYPES)))


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns and types of `schemas.OTHER_FORECASTS`, also where it has no rows."""
    return table[list(_TYPES)].astype(_TYPES)


_TYPES = {
    "week": "datetime64[us]",
    "decision_at": "datetime64[us, UTC]",
    "slot": "int64",
    "symbol": "str",
    **dict.fromkeys(NUMBERS, "float64"),
    "forecaster": "str",
    "model_version": "str",
}


def late_rows(year: int, rows: pd.DataFrame) -> int:
    """Return how many rows about the weeks of a year were known too late for their decision."""
    weeks = decidable_weeks(year, pd.Timestamp(year + 1, 1, 31))
    return sum(
        len(said) - len(known(said, instant))
        for week, instant in zip(weeks["week"], weeks["decision_at"], strict=True)
        if len(said := rows[rows["week"] == week])
    )


def unknown_symbols(rows: pd.DataFrame, symbols: Collection[str], year: int | None = None) -> dict[str, int]:
    """Return by symbol how many rows are about one that the market does not have; of one year's weeks if it is given.

    They are in no universe, and so never used.
    """
    strange = rows.loc[~rows["symbol"].isin(symbols) & ((rows["week"].dt.year == year) | (year is None)), "symbol"]
    return {str(symbol): int(count) for symbol, count in strange.value_counts().sort_index().items()}


def beside_quantiles(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose forecast lies outside their own outer quantiles, which an expected return hardly can."""
    first, *_, last = QUANTILES
    return rows[(rows["forecast"] < rows[first]) | (rows["forecast"] > rows[last])]


def for_states(year: int, forecaster: str, table: pd.DataFrame, weeks: pd.Series, source: str) -> pd.DataFrame:
    """Return the forecasts of one forecaster for a state, all of which must be there.

    Parameters
    ----------
    year : int
    forecaster : str
    table : DataFrame
        `schemas.OTHER_FORECASTS` of the year, as `external_forecasts` returns it.
    weeks : Series
        Mondays that the state covers.
    source : str
        The table's file, for the message.

    Returns
    -------
    DataFrame
        Its rows of those weeks.

    Raises
    ------
    NotEnoughDataError
        If it says nothing about a stock and week; it names both.
    """
    own = table[(table["forecaster"] == forecaster) & table["week"].isin(weeks)]
    absent = weeks[~weeks.isin(own["week"])]
    silent = own[own["forecast"].isna()]
    if len(absent) or len(silent):
        week = absent.min() if len(absent) else silent["week"].iloc[0]
        raise NotEnoughDataError(
            f"The states of {year} are to hold forecasts of {forecaster!r}, which said nothing in time about a stock.",
            todo="add the row with a known_at before the decision, or unset ALLOCATOR_STATE_FORECASTS: a missing "
            "forecast is never filled in.",
            source=source,
            symbol=None if len(absent) else str(silent["symbol"].iloc[0]),
            week=str(pd.Timestamp(week).date()),
        )
    return own.reset_index(drop=True)
