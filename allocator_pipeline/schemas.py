"""Declared schemas of every table that one room hands to another, checked at the boundary."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from allocator_pipeline.config import FORECASTERS, N_STOCKS, OPPONENTS, QUANTILES, RATIOS, SIGNALS
from allocator_pipeline.errors import MarketDataError

_DAY = "datetime64[us]"
_INSTANT = "datetime64[us, UTC]"


def _price(nullable: bool) -> pa.Column:
    return pa.Column("float64", pa.Check.gt(0), nullable=nullable)


def _quantiles_rise(table: pd.DataFrame) -> pd.Series:
    levels = table[list(QUANTILES)].to_numpy(dtype="float64")
    return pd.Series((levels[:, 1:] >= levels[:, :-1]).all(axis=1), index=table.index)


PRICES = pa.DataFrameSchema(
    {
        "date": pa.Column(_DAY),
        "symbol": pa.Column(str),
        "open": _price(nullable=True),
        "high": _price(nullable=True),
        "low": _price(nullable=True),
        "close": _price(nullable=False),
        "adj_close": _price(nullable=False),
        "volume": pa.Column("float64", pa.Check.ge(0), nullable=True),
        "source": pa.Column(str),
    },
    unique=["date", "symbol"],
    strict=True,
    ordered=True,
    name="prices",
)
"""Daily bars by date and symbol. Open, high, low (USD) and volume (shares) are NaN where the source has none."""

CORPORATE_ACTIONS = pa.DataFrameSchema(
    {
        "date": pa.Column(_DAY),
        "symbol": pa.Column(str),
        "kind": pa.Column(str, pa.Check.isin(("dividend", "split"))),
        "value": pa.Column("float64", pa.Check.gt(0)),
        "source": pa.Column(str),
    },
    unique=["date", "symbol", "kind"],
    strict=True,
    ordered=True,
    name="corporate_actions",
)
"""Dividends (USD a share) and splits (new shares for one old one) by ex-date, beside prices that are not adjusted."""

ARTICLES = pa.DataFrameSchema(
    {
        "article_id": pa.Column(str),
        "symbol": pa.Column(str),
        "published_at": pa.Column(_INSTANT),
        "text": pa.Column(str),  # without a check of its content, which a message would repeat
        "source": pa.Column(str),
    },
    unique=["article_id", "symbol"],
    strict=True,
    ordered=True,
    name="articles",
)
"""News articles not scored yet, sorted by published_at and article_id; text is plain, and of bounded length."""

SENTIMENT = pa.DataFrameSchema(
    {
        "article_id": pa.Column(str),
        "symbol": pa.Column(str),
        "published_at": pa.Column(_INSTANT),
        "score": pa.Column("float64", pa.Check.in_range(-1, 1)),
        "scorer": pa.Column(str),
        "source": pa.Column(str),
    },
    unique=["article_id", "symbol"],
    strict=True,
    ordered=True,
    name="sentiment",
)
"""Scored articles, sorted by published_at, symbol and article_id; score is P(positive) - P(negative)."""

DAILY_SENTIMENT = pa.DataFrameSchema(
    {
        "date": pa.Column(_DAY),
        "symbol": pa.Column(str),
        "articles": pa.Column("int64", pa.Check.ge(1)),
        "score": pa.Column("float64", pa.Check.in_range(-1, 1)),
        "lowest": pa.Column("float64", pa.Check.in_range(-1, 1)),
        "highest": pa.Column("float64", pa.Check.in_range(-1, 1)),
        "known_at": pa.Column(_INSTANT),
        "scorer": pa.Column(str),
    },
    unique=["date", "symbol"],
    strict=True,
    ordered=True,
    name="daily_sentiment",
)
"""Mean score of a symbol's articles by day in New York, sorted by date and symbol; known with its last article."""

FUNDAMENTALS = pa.DataFrameSchema(
    {
        "symbol": pa.Column(str),
        "period_end": pa.Column(_DAY),
        "known_at": pa.Column(_INSTANT),
        **{name: pa.Column("float64", nullable=True) for name in RATIOS},
        "source": pa.Column(str),
    },
    unique=["symbol", "period_end", "known_at"],
    strict=True,
    ordered=True,
    name="fundamentals",
)
"""Quarterly ratios by the day they became known, sorted by known_at, symbol and period_end; NaN where undefined."""

RESTATEMENTS = pa.DataFrameSchema(
    {
        "symbol": pa.Column(str),
        "period_end": pa.Column(_DAY),
        "field": pa.Column(str),
        "first_value": pa.Column("float64"),
        "first_known_at": pa.Column(_INSTANT),
        "later_value": pa.Column("float64"),
        "known_at": pa.Column(_INSTANT),
        "source": pa.Column(str),
    },
    unique=["symbol", "period_end", "field", "known_at"],
    strict=True,
    ordered=True,
    name="restatements",
)
"""What was said otherwise later about a quarter's figure (USD), sorted by known_at, symbol, period_end and field; no
signal reads it."""

MACRO = pa.DataFrameSchema(
    {
        "date": pa.Column(_DAY),
        "series": pa.Column(str),
        "value": pa.Column("float64"),
        "known_at": pa.Column(_INSTANT),
        "source": pa.Column(str),
    },
    unique=["date", "series"],
    strict=True,
    ordered=True,
    name="macro",
)
"""Economic and market series as first published, in the units of their source, sorted by date and series; the date is
the day or the first day of the period that a value is about, and says nothing about when it was known."""

UNIVERSE = pa.DataFrameSchema(
    {
        "year": pa.Column("int64"),
        "slot": pa.Column("int64", pa.Check.in_range(0, N_STOCKS - 1)),
        "symbol": pa.Column(str),
        "rank": pa.Column("int64", pa.Check.ge(1)),
        "liquidity": pa.Column("float64", nullable=True),
        "measure": pa.Column(str),
        "mode": pa.Column(str, pa.Check.isin(["point_in_time", "fixed"])),
        "known_at": pa.Column(_INSTANT),
    },
    unique=["year", "slot"],
    strict=True,
    ordered=True,
    name="universe",
)
"""The 15 stocks of a year by slot; known_at is the close of the last session that the ranking read. A fixed list has no
liquidity (NaN)."""

SIGNALS_TABLE = pa.DataFrameSchema(
    {
        "week": pa.Column(_DAY),
        "decision_at": pa.Column(_INSTANT),
        "slot": pa.Column("int64", pa.Check.in_range(0, N_STOCKS - 1)),
        "symbol": pa.Column(str),
        **{name: pa.Column("float64", nullable=True) for name in SIGNALS},
        "articles": pa.Column("int64", pa.Check.ge(0)),
    },
    unique=["week", "slot"],
    strict=True,
    ordered=True,
    name="signals",
)
"""Weekly signals of the year's 15 stocks, sorted by week and slot; NaN where missing."""

FORECASTS = pa.DataFrameSchema(
    {
        "week": pa.Column(_DAY),
        "decision_at": pa.Column(_INSTANT),
        "slot": pa.Column("int64", pa.Check.in_range(0, N_STOCKS - 1)),
        "symbol": pa.Column(str),
        "forecast": pa.Column("float64"),
        **{name: pa.Column("float64") for name in QUANTILES},
        "forecaster": pa.Column(str, pa.Check.isin(FORECASTERS)),
        "model_version": pa.Column(str),
    },
    checks=pa.Check(_quantiles_rise, error="quantiles never fall from one level to the next"),
    unique=["week", "slot"],
    strict=True,
    ordered=True,
    name="forecasts",
)
"""Expected weekly log return of the year's 15 stocks and its quantiles, sorted by week and slot."""

OTHER_FORECASTS = pa.DataFrameSchema(
    {
        "week": pa.Column(_DAY),
        "decision_at": pa.Column(_INSTANT),
        "slot": pa.Column("int64", pa.Check.in_range(0, N_STOCKS - 1)),
        "symbol": pa.Column(str),
        "forecast": pa.Column("float64", nullable=True),
        **{name: pa.Column("float64", nullable=True) for name in QUANTILES},
        "forecaster": pa.Column(str, pa.Check.notin(FORECASTERS)),
        "model_version": pa.Column(str),
    },
    unique=["forecaster", "week", "slot"],
    strict=True,
    ordered=True,
    name="other_forecasts",
)
"""Forecasts that are not of our forecasters, as `FORECASTS`, sorted by forecaster, week and slot; NaN where missing."""

EXTERNAL_FORECASTS = pa.DataFrameSchema(
    {
        "forecaster": pa.Column(str, pa.Check.notin((*FORECASTERS, *OPPONENTS))),
        "symbol": pa.Column(str),
        "week": pa.Column(_DAY),
        "known_at": pa.Column(_INSTANT),
        "forecast": pa.Column("float64", pa.Check.in_range(-1, 1)),
        **{name: pa.Column("float64", pa.Check.in_range(-1, 1), nullable=True) for name in QUANTILES},
        "model_version": pa.Column(str),
    },
    unique=["forecaster", "symbol", "week", "known_at"],
    strict=True,
    ordered=True,
    name="external_forecasts",
)
"""The rows of a user's table of forecasts, sorted by forecaster, week, symbol and known_at: weekly log returns, and
when each was made. Whether a row was known in time is not decided here but by `features.panel`."""

_COUNT = pa.Column("int64", pa.Check.ge(0))
_SUM = pa.Column("float64", pa.Check.ge(0))

FORECAST_PANEL = pa.DataFrameSchema(
    {
        "week": pa.Column(_DAY),
        "stocks": _COUNT,
        "missing": _COUNT,
        "squared_error": _SUM,
        "squared_error_of_zero": _SUM,
        "squared_error_of_mean": _SUM,
        "hits": _COUNT,
        "ups": _COUNT,
        "rank_ic": pa.Column("float64", pa.Check.in_range(-1, 1), nullable=True),
        "with_quantiles": _COUNT,
        **{
            f"{kind}_{name}": column
            for name in QUANTILES
            for kind, column in (("pinball", _SUM), ("pinball_of_history", _SUM), ("below", _COUNT))
        },
        "held": pa.Column(str),
    },
    unique=["week"],
    strict=True,
    ordered=True,
    name="forecast_panel",
)
"""What one forecaster's forecasts were worth in each week with known returns: counts of stocks with and without a
forecast, sums over those with one (log returns), rank correlation (NaN where undefined), sums over the stocks with
quantiles, and the symbols with the highest forecasts. No rows where the forecaster is not there."""

OUTCOMES = pa.DataFrameSchema(
    {
        "week": pa.Column(_DAY),
        "slot": pa.Column("int64", pa.Check.in_range(0, N_STOCKS - 1)),
        "symbol": pa.Column(str),
        "return": pa.Column("float64", pa.Check.gt(-1), nullable=True),
        "mark": pa.Column("float64", pa.Check.gt(-1), nullable=True),
    },
    unique=["week", "slot"],
    strict=True,
    ordered=True,
    name="outcomes",
)
"""What each week paid, sorted by week and slot: `return` from its execution to the next week's execution, `mark` to the
next decision's close (both simple). NaN while not known yet."""

BASELINE_WEIGHTS = pa.DataFrameSchema(
    {
        "week": pa.Column(_DAY),
        "slot": pa.Column("int64", pa.Check.in_range(0, N_STOCKS)),
        "symbol": pa.Column(str),
        "weight": pa.Column("float64", pa.Check.in_range(0, 1)),
    },
    unique=["week", "slot"],
    strict=True,
    ordered=True,
    name="baseline_weights",
)
"""Target weights of a baseline, sorted by week and slot; slot 15 is CASH."""


DOWNLOADS = pa.DataFrameSchema(
    {
        "name": pa.Column(str),
        "kind": pa.Column(str),
        "asked": pa.Column(str),
        "first": pa.Column(_DAY),
        "last": pa.Column(_DAY),
        "due": pa.Column("int64", pa.Check.ge(1)),
        "there": pa.Column("int64", pa.Check.ge(0)),
    },
    unique=["name", "kind", "first"],
    strict=True,
    ordered=True,
    name="downloads",
)
"""What is needed of a vendor in a year, by symbol or series: as what it is asked for, what is due of it, and how much
of that is there (`market.live.coverage`)."""


DOUBTS = pa.DataFrameSchema(
    {
        "date": pa.Column(_DAY),
        "symbol": pa.Column(str),
        "kind": pa.Column(str),
        "told": pa.Column(str),
    },
    strict=True,
    ordered=True,
    name="doubts",
)
"""What casts doubt on bars though they are used, sorted by kind, date and symbol."""


def validate(table: pd.DataFrame, schema: pa.DataFrameSchema, source: str) -> pd.DataFrame:
    """Check a table against its schema.

    Parameters
    ----------
    table : DataFrame
    schema : DataFrameSchema
        One of this module's.
    source : str
        Where the table comes from, for the message.

    Returns
    -------
    DataFrame
        The table, as given.

    Raises
    ------
    MarketDataError
        Naming the column, the check and the first bad row.
    """
    try:
        return schema.validate(table)
    except pa.errors.SchemaError as error:
        cases = getattr(error, "failure_cases", None)
        first = ""
        if isinstance(cases, pd.DataFrame) and len(cases):
            first = f" First bad value: {cases.iloc[0].to_dict()}."
        raise MarketDataError(
            f"The {schema.name} table breaks its schema: {str(error).splitlines()[0][:300]}.{first}",
            todo="mend the source data, or report a defect if the source is ours.",
            source=source,
        ) from error
