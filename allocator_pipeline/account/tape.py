"""Prices as they were traded, and what dividends and splits did to a share between two sessions.

A source whose table of prices has only an adjusted close beside the traded one has both in it: the ratio of the two
moves by what one share has become, dividends reinvested on the ex-date. A source with raw prices adds a table of
corporate actions, and dividends and splits are booked one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.features.outcomes import execution_prices

_ROUNDING = 1e-12
"""An adjustment smaller than this is the rounding of a division."""


@dataclass(frozen=True)
class Action:
    """What happened to a share before a session opened.

    Parameters
    ----------
    session : Timestamp
        Ex-date, or the session by which an adjustment is known.
    symbol : str
    kind : {"split", "dividend", "adjustment"}
    value : float
        New shares for one old one; for a dividend USD for one share.
    growth : float
        New shares for one old one; of a dividend, if it is reinvested at the close before less the dividend.
    """

    session: pd.Timestamp
    symbol: str
    kind: str
    value: float
    growth: float


class Tape:
    """Traded prices and corporate actions by session and symbol.

    Parameters
    ----------
    prices : DataFrame
        `schemas.PRICES`.
    has_open : bool
        Whether orders are filled at the open of a session; else at its close.
    actions : DataFrame, optional
        `schemas.CORPORATE_ACTIONS`, complete for the sessions of ``prices``; without it the adjustment of the prices
        stands for them.
    """

    def __init__(self, prices: pd.DataFrame, has_open: bool, actions: pd.DataFrame | None = None) -> None:
        self.has_open, self._actions = has_open, actions
        table = prices.assign(adjusted=execution_prices(prices, has_open), factor=prices["adj_close"] / prices["close"])

        def wide(name: str) -> pd.DataFrame:
            return table.pivot(index="date", columns="symbol", values=name)

        self._fills, self._closes = wide("open" if has_open else "close"), wide("close")
        self._factors, self._adjusted = wide("factor"), wide("adjusted")

    @property
    def itemised(self) -> bool:
        """Whether dividends and splits are known one by one."""
        return self._actions is not None

    def fills(self, session: pd.Timestamp, symbols: Iterable[str]) -> dict[str, float]:
        """Return the prices at which orders of a session are filled, USD.

        Raises
        ------
        MarketDataError
            If one is missing; it names symbol and session.
        """
        return _prices(self._fills, session, symbols)

    def priced(self, session: pd.Timestamp, symbols: Iterable[str], *, at_close: bool = False) -> set[str]:
        """Return which of some symbols can be filled in a session, or have a close."""
        values = (self._closes if at_close else self._fills).reindex(index=[session], columns=list(symbols)).iloc[0]
        return {str(symbol) for symbol in values.index[values.notna()]}

    def closes(self, session: pd.Timestamp, symbols: Iterable[str]) -> dict[str, float]:
        """Return the closes of a session as they were traded, USD; raises as `fills`."""
        return _prices(self._closes, session, symbols)

    def returns(self, first: pd.Timestamp, last: pd.Timestamp, symbols: list[str]) -> np.ndarray:
        """Return what stocks paid from fill to fill, as environment and labels account for it, shape (n,)."""
        bought, sold = (_prices(self._adjusted, session, symbols) for session in (first, last))
        return np.array([sold[symbol] / bought[symbol] - 1.0 for symbol in symbols])

    def actions(self, after: pd.Timestamp, until: pd.Timestamp, symbols: Iterable[str]) -> list[Action]:
        """Return what happened to shares in the sessions after one, up to another, in order.

        Raises
        ------
        MarketDataError
            If a price that it needs is missing, or a dividend is not less than the close before it.
        """
        if after >= until:
            return []
        if self._actions is None:
            return self._adjustments(after, until, sorted(symbols))
        table = self._actions
        rows = table[(table["date"] > after) & (table["date"] <= until) & table["symbol"].isin(list(symbols))]
        rows = rows.assign(late=rows["kind"] == "dividend").sort_values(["date", "symbol", "late"], kind="stable")
        found: list[Action] = []
        for day, symbol, kind, value in rows[["date", "symbol", "kind", "value"]].itertuples(index=False):
            growth = value if kind == "split" else self._reinvested(day, symbol, value, found)
            found.append(Action(day, symbol, kind, float(value), float(growth)))
        return found

    def _adjustments(self, after: pd.Timestamp, until: pd.Timestamp, symbols: list[str]) -> list[Action]:
        before, now = (_prices(self._factors, session, symbols) for session in (after, until))
        growth = {symbol: now[symbol] / before[symbol] for symbol in symbols}
        return [
            Action(until, symbol, "adjustment", value, value)
            for symbol, value in growth.items()
            if abs(value - 1.0) > _ROUNDING
        ]

    def _reinvested(self, day: pd.Timestamp, symbol: str, dividend: float, earlier: list[Action]) -> float:
        """Return the shares that one becomes: ``C / (C - D)``, C being the close before in shares of the day itself."""
        row = int(self._closes.index.searchsorted(day)) - 1
        if row < 0:
            raise _missing(symbol, day)
        close = _prices(self._closes, self._closes.index[row], [symbol])[symbol]
        for action in earlier:
            if (action.session, action.symbol, action.kind) == (day, symbol, "split"):
                close /= action.value
        if not dividend < close:
            raise MarketDataError(
                f"A dividend of {dividend} is not less than the close of {close} before it.",
                todo="mend the corporate actions of that symbol.",
                symbol=symbol,
                week=str(day.date()),
            )
        return close / (close - dividend)


def _prices(table: pd.DataFrame, session: pd.Timestamp, symbols: Iterable[str]) -> dict[str, float]:
    names = list(symbols)
    values = table.reindex(index=[session], columns=names).to_numpy(dtype=np.float64)[0]
    found = dict(zip(names, values.tolist(), strict=True))
    for symbol, price in found.items():
        if not np.isfinite(price):
            raise _missing(symbol, session)
    return found


def _missing(symbol: str, session: pd.Timestamp) -> MarketDataError:
    return MarketDataError(
        f"The paper account needs the price of {session.date()}, which is missing.",
        todo="complete the prices of that symbol and materialise them again; a missing price is never filled in.",
        symbol=symbol,
        week=str(session.date()),
    )
