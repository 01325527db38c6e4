"""Daily price panels: the long price table as arrays of days by symbols, cut at what may be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from allocator_pipeline.config import FORECAST_TRAINING_YEARS
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.market import calendar

BAR_FIELDS = ("open", "high", "low", "volume")
"""What a bar may hold beside its close."""


@dataclass(frozen=True)
class PricePanel:
    """Prices of some days, in order, by symbol, in order.

    Parameters
    ----------
    dates : ndarray of datetime64[D], shape (T,)
        Sessions.
    symbols : tuple of str
        The N columns, sorted.
    close : ndarray of float64, shape (T, N)
        Adjusted close in USD; NaN where the symbol has no bar.
    execution : ndarray of float64, shape (T, N)
        Price of a trade in that session in USD: the adjusted open, or the adjusted close of a source without opens.
    fields : mapping of str to ndarray of float64, shape (T, N)
        Those of `BAR_FIELDS` that are read: prices adjusted as the close is, volume in shares of the size that the
        adjusted close is the price of, so that a split does not look like a day of heavy trading; NaN where unknown.
    """

    dates: np.ndarray
    symbols: tuple[str, ...]
    close: np.ndarray
    execution: np.ndarray
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)

    def digest(self) -> str:
        """Return a sha256 over all the values."""
        digest = hashlib.sha256("\n".join([*self.symbols, *sorted(self.fields)]).encode())
        extra = (self.fields[name] for name in sorted(self.fields))
        for values in (self.dates.astype("datetime64[D]").astype(np.int64), self.close, self.execution, *extra):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def price_panel(
    prices: pd.DataFrame, has_open: bool, symbols: Sequence[str] | None = None, fields: Iterable[str] = ()
) -> PricePanel:
    """Turn a price table into a panel.

    Parameters
    ----------
    prices : DataFrame
        As `schemas.PRICES`.
    has_open : bool
        Whether trades execute at the adjusted open (``open * adj_close / close``) or at the adjusted close.
    symbols : sequence of str, optional
        Columns to keep; one without a bar is all NaN. All symbols of the table by default.
    fields : iterable of str
        Those of `BAR_FIELDS` to hold.

    Returns
    -------
    PricePanel
    """

    def pivot(values: pd.Series) -> pd.DataFrame:
        table = prices.assign(value=values).pivot(index="date", columns="symbol", values="value")
        return table if symbols is None else table.reindex(columns=sorted(set(symbols)))

    def array(table: pd.DataFrame) -> np.ndarray:
        return np.ascontiguousarray(table.to_numpy(dtype=np.float64))

    def adjusted(name: str) -> pd.Series:
        if name == "volume":
            return prices["volume"] * (prices["close"] / prices["adj_close"])  # first the ratio: 1 changes no bit
        return prices[name] * prices["adj_close"] / prices["close"]

    close = pivot(prices["adj_close"])
    return PricePanel(
        dates=close.index.to_numpy().astype("datetime64[D]"),
        symbols=tuple(str(symbol) for symbol in close.columns),
        close=array(close),
        execution=array(pivot(adjusted("open")) if has_open else close),
        fields={name: array(pivot(adjusted(name))) for name in fields},
    )


def fields_held(bars: pd.DataFrame, has_open: bool, has_volume: bool) -> frozenset[str]:
    """Return those of `BAR_FIELDS` that a source has: open as it says, high and low if no bar lacks them.

    Volume as it says too, unless most stocks have none but zeros, with which some sources stand in for it.
    """
    ranged = has_open and bool(bars[["high", "low"]].notna().all(axis=None))
    held = {"open": has_open, "high": ranged, "low": ranged, "volume": has_volume and _traded(bars)}
    return frozenset(name for name, there in held.items() if there)


def _traded(bars: pd.DataFrame) -> bool:
    """Tell whether most symbols have a volume above zero on some day."""
    return bool((bars.groupby("symbol")["volume"].max() > 0).mean() > 0.5)


def bars_between(prices: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Return the bars whose session lies from ``first`` to ``last``, both included."""
    return prices[(prices["date"] >= first) & (prices["date"] <= last)]


def warm_up_start(year: int) -> pd.Timestamp:
    """Return the first day a forecaster of ``year`` reads: the training years and one year before, to warm up on."""
    return pd.Timestamp(year - FORECAST_TRAINING_YEARS - 1, 1, 1)


def training_bars(prices: pd.DataFrame, year: int) -> pd.DataFrame:
    """Return the bars the forecaster of ``year`` may be fitted on: none after the year's first decision.

    Cutting the *bars* purges the targets: a target whose exit lies after the first decision cannot be computed at all.

    Raises
    ------
    NotEnoughDataError
        If the bars do not reach the first decision: a model fitted now would not be the one fitted later.
    """
    decision = calendar.first_decision_of_year(year)
    bars = bars_between(prices, warm_up_start(year), decision)
    if bars.empty or bars["date"].max() < decision:
        raise NotEnoughDataError(
            f"The prices do not reach {decision.date()}, the first decision of {year}.",
            todo=f"materialise the prices of {year - FORECAST_TRAINING_YEARS} to {year} once that session has closed.",
        )
    return bars
