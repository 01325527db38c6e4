"""Quarterly statements as they became known: what was said first, and what was said otherwise later.

A figure's first report is never changed by a later one. Where a later statement holds a figure that none before it
held, it gives the quarter a second row, with the first report of every figure; more than `LATE` after the quarter's end
it does not, because figures that turn up then are comparatives in another year's report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from allocator_pipeline.config import RATIOS
from allocator_pipeline.market.fundamentals import RATIO_PARTS, ratio
from allocator_pipeline.market.live.columns import days, instants, texts
from allocator_pipeline.schemas import FUNDAMENTALS, RESTATEMENTS, validate

LATE = timedelta(days=200)

LATE_COMPARATIVE = f"first seen as a comparative more than {LATE.days} days after its period"


@dataclass(frozen=True)
class Statement:
    """Figures of one quarter that became known together.

    Parameters
    ----------
    period_end : date
    known_at : datetime
        With a time zone.
    values : mapping of str to float
        Figures in the statement's currency, by the names in `market.fundamentals.RATIO_PARTS`, without absent ones.
    made_of : mapping of str to str
        What the source calls that from which a figure is made. A figure made of something else is another measure of
        the same thing, and no restatement.
    """

    period_end: date
    known_at: datetime
    values: Mapping[str, float]
    made_of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fundamentals:
    """Quarters of one symbol.

    Parameters
    ----------
    first_reported : DataFrame
        `schemas.FUNDAMENTALS`.
    restated : DataFrame
        `schemas.RESTATEMENTS`.
    rejected : Counter of (int, str)
        How many quarters or figures were rejected, by year of the period and reason.
    """

    first_reported: pd.DataFrame
    restated: pd.DataFrame
    rejected: Counter[tuple[int, str]] = field(default_factory=Counter)


def fundamentals(
    symbol: str, source: str, statements: Iterable[Statement], rejected: Counter[tuple[int, str]]
) -> Fundamentals:
    """Keep first reports and restatements apart.

    Parameters
    ----------
    symbol, source : str
    statements : iterable of Statement
        In the order in which they became known.
    rejected : Counter
        Passed on.
    """
    first: dict[date, dict[str, tuple[float, datetime]]] = {}
    last: dict[tuple[date, str, str], float] = {}
    rows: dict[tuple[date, datetime], dict[str, float]] = {}
    restated: dict[tuple[date, str, datetime], tuple[float, datetime, float]] = {}
    for statement in statements:
        end, known_at = statement.period_end, statement.known_at
        reported = first.setdefault(end, {})
        on_time = not reported or known_at.date() - end <= LATE
        added = False
        for name, value in sorted(statement.values.items()):
            measure = (end, name, statement.made_of.get(name, ""))
            if name not in reported and on_time:
                reported[name], added = (value, known_at), True
            elif name in reported and measure in last and not _same(last[measure], value):
                restated[end, name, known_at] = (*reported[name], value)
            else:
                value = last.get(measure, value)
            last[measure] = value
        if added:
            rows[end, known_at] = {name: value for name, (value, _) in reported.items()}
    return Fundamentals(_first_reported(symbol, source, rows), _restated(symbol, source, restated), rejected)


def _same(one: float, other: float) -> bool:
    """Tell whether two figures differ by rounding only: by one unit (1, 1 000 or 1 000 000) of the coarser, and 1 %."""
    unit = max(next(unit for unit in (1e6, 1e3, 1.0, 0.0) if not unit or value % unit == 0) for value in (one, other))
    return abs(one - other) <= min(unit, 0.01 * abs(one))


def _first_reported(
    symbol: str, source: str, rows: Mapping[tuple[date, datetime], Mapping[str, float]]
) -> pd.DataFrame:
    def column(name: str) -> np.ndarray:
        return np.array([values.get(name, np.nan) for values in rows.values()], dtype=np.float64)

    ratios = {name: ratio(column(above), column(below)) for name, (above, below) in RATIO_PARTS.items()}
    table = pd.DataFrame(
        {
            "symbol": texts([symbol] * len(rows)),
            "period_end": days([end for end, _ in rows]),
            "known_at": instants([known_at for _, known_at in rows]),
            **{name: ratios[name] for name in RATIOS},
            "source": texts([source] * len(rows)),
        }
    )
    return validate(table.sort_values(["known_at", "symbol", "period_end"], ignore_index=True), FUNDAMENTALS, source)


def _restated(
    symbol: str, source: str, rows: Mapping[tuple[date, str, datetime], tuple[float, datetime, float]]
) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "symbol": texts([symbol] * len(rows)),
            "period_end": days([end for end, _, _ in rows]),
            "field": texts([name for _, name, _ in rows]),
            "first_value": np.array([value for value, _, _ in rows.values()], dtype=np.float64),
            "first_known_at": instants([known_at for _, known_at, _ in rows.values()]),
            "later_value": np.array([value for _, _, value in rows.values()], dtype=np.float64),
            "known_at": instants([known_at for _, _, known_at in rows]),
            "source": texts([source] * len(rows)),
        }
    )
    table = table.sort_values(["known_at", "symbol", "period_end", "field"], ignore_index=True)
    return validate(table, RESTATEMENTS, source)
