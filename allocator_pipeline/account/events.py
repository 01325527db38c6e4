"""What happens to an account, and what it holds afterwards: cash in USD and shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from allocator_pipeline.config import CASH
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.portfolio.rollout import Holdings

Kind = Literal[
    "deposit", "withdrawal", "fill", "cost", "dividend", "split", "adjustment", "cash_in_lieu", "revised_prices", "mark"
]


@dataclass(frozen=True)
class Event:
    """One change of an account, or a look at its value.

    Parameters
    ----------
    session : str
        ISO day.
    kind : str
        ``fill`` is one order; ``cost`` the fee of a week's orders; ``adjustment`` what the prices' own adjustment says
        of dividends and splits together; ``cash_in_lieu`` pays for parts of shares;
        ``revised_prices`` (the source tells the last prices otherwise than before) and ``mark`` change nothing.
    cash : float
        Change of cash, USD.
    shares : mapping of str to float
        Change of shares by symbol.
    facts : mapping
        What else is known: price and order of a fill, prices and net asset value of a mark.
    """

    session: str
    kind: Kind
    cash: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Balance:
    """What an account holds.

    Parameters
    ----------
    cash : float
        USD.
    shares : mapping of str to float
        By symbol, without those that are zero.
    """

    cash: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)

    def after(self, events: Iterable[Event]) -> Balance:
        """Return what is held after some events, in their order."""
        cash, shares = self.cash, dict(self.shares)
        for event in events:
            cash += event.cash
            for symbol, change in event.shares.items():
                shares[symbol] = shares.get(symbol, 0.0) + change
        return Balance(cash, {symbol: count for symbol, count in sorted(shares.items()) if count != 0.0})

    def value(self, prices: Mapping[str, float]) -> float:
        """Return the net asset value at some prices, USD.

        Raises
        ------
        MarketDataError
            If a price is missing.
        """
        try:
            return self.cash + math.fsum(count * prices[symbol] for symbol, count in self.shares.items())
        except KeyError as error:
            raise MarketDataError(
                "A stock that the paper account holds has no price.",
                todo="complete the prices of that symbol.",
                symbol=str(error.args[0]),
            ) from error

    def weights(self, prices: Mapping[str, float]) -> Holdings:
        """Return the shares of net asset value by symbol and CASH."""
        nav = self.value(prices)
        held = {symbol: count * prices[symbol] / nav for symbol, count in self.shares.items()}
        return {**held, CASH: self.cash / nav}

    def emptied(self, session: str) -> Event:
        """Return the withdrawal of everything."""
        return Event(session, "withdrawal", -self.cash, {symbol: -count for symbol, count in self.shares.items()})
