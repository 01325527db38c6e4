"""The user's table of forecasts from elsewhere, read and checked (docs/external-forecasts.md)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import polars as pl

from allocator_pipeline.config import FORECASTERS, OPPONENTS, QUANTILES
from allocator_pipeline.errors import MarketDataError, UnsafeNameError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.ingest import as_numbers, check_symbols, refuse
from allocator_pipeline.market.tabular import ROW, Column, bad_value, read_table
from allocator_pipeline.paths import safe_name
from allocator_pipeline.schemas import EXTERNAL_FORECASTS, validate

COLUMNS = {
    "forecaster": Column("text", ("forecaster", "model"), required=True),
    "symbol": Column("text", ("symbol", "ticker"), required=True),
    "week": Column("day", ("week",)),
    "decision_session": Column("day", ("decision_session",)),
    "known_at": Column("instant", ("known_at",), required=True),
    "forecast": Column("number", ("forecast",), required=True),
    **{name: Column("number", (name,)) for name in QUANTILES},
    "model_version": Column("text", ("model_version",)),
}

OURS = (*FORECASTERS, *OPPONENTS)

RESERVED = ("equal_weight", "hrp", "zero", "mean", "up", "history", "top", "all", "words", "path")
"""What the panel holds forecasters against, and its own words, which no forecaster may be mistaken for."""

GIVEN = "given"
"""Version of a forecast that came without one."""


def read_external(path: Path) -> pd.DataFrame:
    """Read a table of forecasts.

    Parameters
    ----------
    path : Path
        A ``.parquet`` or ``.csv`` file.

    Returns
    -------
    DataFrame
        `schemas.EXTERNAL_FORECASTS`.

    Raises
    ------
    MarketDataError
        If the file is absent or cannot be read, lacks a column, or holds a value that cannot be: a name that is one of
        ours or the panel's, or another's but for its case, a day that is no Monday of a trading week (or no decision
        session), a return that is no weekly log return, some quantiles without the others or out of order, a row that
        is there twice. It names file, column and row.
    """
    if not path.is_file():
        raise MarketDataError(
            "There is no such table of forecasts.",
            todo="set ALLOCATOR_EXTERNAL_FORECASTS to a parquet or CSV file, or unset it.",
            source=str(path),
        )
    rows = read_table(path, COLUMNS)
    check_symbols(rows, path)
    _check_names(rows, path)
    rows = _with_week(rows, path)
    for name in ("forecast", *QUANTILES):
        refuse(rows, path, name, pl.col(name).abs() >= 1, "a weekly log return lies between -1 and 1: 1 % is 0.01")
    _check_quantiles(rows, path)
    key = ["forecaster", "week", "symbol", "known_at"]
    refuse(rows.filter(pl.struct(key).is_duplicated()), path, "known_at", pl.lit(True), "the row is there twice")
    rows = rows.sort(key)
    table = pd.DataFrame(
        {
            **{name: pd.Series(rows[name].to_list(), dtype="str") for name in ("forecaster", "symbol")},
            "week": pd.Series(rows["week"].cast(pl.Datetime("us")).to_numpy().copy()),
            "known_at": pd.Series(rows["known_at"].dt.replace_time_zone(None).to_numpy().copy()).dt.tz_localize("UTC"),
            **{name: as_numbers(rows[name]) for name in ("forecast", *QUANTILES)},
            "model_version": pd.Series(rows["model_version"].fill_null(GIVEN).to_list(), dtype="str"),
        }
    )
    return validate(table, EXTERNAL_FORECASTS, path.name)


def external_names(path: Path | None) -> tuple[str, ...]:
    """Return the forecasters of a table in alphabetical order; none without a table.

    Raises
    ------
    MarketDataError
        As `read_external`.
    """
    return () if path is None else tuple(sorted(read_external(path)["forecaster"].unique()))


def _check_names(rows: pl.DataFrame, path: Path) -> None:
    lower = pl.col("forecaster").str.to_lowercase()
    refuse(rows, path, "forecaster", lower.is_in(OURS), f"{', '.join(OURS)} are names of ours, in any case")
    refuse(
        rows, path, "forecaster", lower.is_in(RESERVED), f"{', '.join(RESERVED)} are words of the panel, in any case"
    )
    first = pl.col("forecaster").first().over(lower)  # a file system may not tell names by their case
    refuse(rows, path, "forecaster", pl.col("forecaster") != first, "another row writes that name in another case")
    for name in sorted(rows["forecaster"].unique().to_list()):
        try:
            safe_name(name, "forecaster")
            if "|" in name or "+" in name:  # they part the halves of a partition key
                raise UnsafeNameError(f"The forecaster {name!r} holds | or +.", todo="leave them out.")
        except UnsafeNameError as error:
            row = rows.filter(pl.col("forecaster") == name)[ROW][0]
            raise bad_value(path, "forecaster", row, error.problem.rstrip("."), error.todo) from error


def _with_week(rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return the rows with the Monday of their week, from ``week`` or ``decision_session``, checked by the calendar."""
    every = calendar.weeks(f"{calendar.FIRST_YEAR}-01-01", f"{calendar.LAST_YEAR}-12-31")
    mondays, sessions = (every[name].dt.date.tolist() for name in ("week", "decision_session"))
    week, session = pl.col("week"), pl.col("decision_session")
    refuse(rows, path, "week", week.is_null() == session.is_null(), "give either week or decision_session")
    refuse(rows, path, "week", ~week.is_in(mondays), "it is no Monday of a trading week")
    refuse(rows, path, "decision_session", ~session.is_in(sessions), "no week is decided after that session")
    return rows.with_columns(
        pl.coalesce(week, session.replace_strict(sessions, mondays, default=None, return_dtype=pl.Date)).alias("week")
    )


def _check_quantiles(rows: pl.DataFrame, path: Path) -> None:
    names = list(QUANTILES)
    some = pl.any_horizontal(pl.col(name).is_not_null() for name in names)
    for name in names:
        refuse(rows, path, name, some & pl.col(name).is_null(), "other quantiles of the row are there")
    for lower, upper in pairwise(names):
        refuse(rows, path, upper, pl.col(upper) < pl.col(lower), f"it is below {lower}")
