"""Daily moves that are too large to pass unseen: believed, doubted, or refused."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date

import numpy as np
import pandas as pd

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.live.chart import AGREEMENT
from allocator_pipeline.market.quality import JUMP
from allocator_pipeline.market.raw import fetch_again

SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)
"""Common ratios, forward or reverse. Halves are not among them: three for two moves a price by less than a jump, and
two for three by what a stock may well move (AMD on 2016-04-22)."""

RATIO = 0.02
"""How near to such a ratio, as a share, a move is taken for an unlisted split."""

TAKEN_BACK = 0.05
"""How near to the price before a jump, as a share, the price after it is taken for the same."""


def jump_warnings(
    symbol: str,
    prices: pd.DataFrame,
    source: str,
    second: pd.DataFrame | None = None,
    confirmed: Collection[date] = (),
    since: date = date.min,
    told_by: Callable[[date], str] | None = None,
) -> list[str]:
    """Return the daily moves of more than 40 % that no action explains, and refuse those that cannot be believed.

    Parameters
    ----------
    symbol : str
    prices : DataFrame
        ``date`` and ``adj_close`` of the symbol, rising in date.
    source : str
    second : DataFrame, optional
        The same from another source, with ``scale`` (as `second_bars` has it). What it tells of a move decides: within
        50 basis points the move is believed.
    confirmed : collection of date
        Sessions whose move the user has confirmed; it is believed, whatever a source tells.
    since : date
        Moves before that session are not judged.
    told_by : callable, optional
        Returns the record that a session's bar comes from, for errors.

    Returns
    -------
    list of str
        One sentence a move: real ones exist.

    Raises
    ------
    MarketDataError
        Naming source, symbol and date, if the second source tells of a return more than 50 basis points from it; or,
        where it tells of none, if the move is that of a common split within 2 %, or one of two that take each other
        back within 5 % in successive sessions.
    """
    values = prices.set_index("date")["adj_close"]
    moves = values.pct_change()
    jumps = moves.abs() > JUMP
    told = pd.Series(np.nan, index=values.index)
    if second is not None:
        other = second.set_index("date")[["adj_close", "scale"]].reindex(values.index)
        told = other["adj_close"].pct_change(fill_method=None).where(other["scale"].diff() == 0)
    found = []
    for row in np.flatnonzero(jumps):
        if values.index[int(row)].date() < since:
            continue
        day, move, theirs = values.index[int(row)].date(), float(moves.iloc[row]), float(told.iloc[row])
        before = values.index[int(row) - 1].date()
        if day in confirmed:
            why = ", confirmed."
        elif abs(theirs - move) <= AGREEMENT:
            why = ", by both sources."
        elif not np.isnan(theirs):
            raise _unbelievable(
                f"it moved {move:+.2%}, and by the second source {theirs:+.2%}", source, symbol, (before, day), told_by
            )
        else:
            why = "."
            looks = _looks_wrong(move, _taken_back(values, jumps, int(row)))
            if looks:
                raise _unbelievable(f"it moved {move:+.0%}{looks}", source, symbol, (before, day), told_by)
        found.append(f"{symbol} {day}: moved {move:+.0%}{why}")
    return found


def _taken_back(values: pd.Series, jumps: pd.Series, row: int) -> str:
    """Return how a jump and a neighbouring session undo each other; nothing where they do not.

    The session before is looked at too, since it may lie in a year whose moves are not judged.
    """
    if row + 1 < len(values) and abs(values.iloc[row + 1] / values.iloc[row - 1] - 1) <= TAKEN_BACK:
        return " and back in the next session"
    if row >= 2 and jumps.iloc[row - 1] and abs(values.iloc[row] / values.iloc[row - 2] - 1) <= TAKEN_BACK:
        return ", which takes back the session before"
    return ""


def _looks_wrong(move: float, taken_back: str) -> str:
    ratio = 1 + move
    split = next((k for k in SPLITS if abs(ratio * k - 1) <= RATIO or abs(ratio / k - 1) <= RATIO), None)
    if split is not None:
        return f", which is a split of {f'{split}:1' if ratio < 1 else f'1:{split}'} that is not listed"
    return taken_back


def _unbelievable(
    why: str, source: str, symbol: str, days: tuple[date, date], told_by: Callable[[date], str] | None
) -> MarketDataError:
    kept = dict.fromkeys(told_by(day) for day in days) if told_by else [f"of that day of {symbol}"]
    return MarketDataError(
        f"A price cannot be believed: {why}.",
        todo=f"compare it with another source; once the vendor has mended it, {fetch_again(kept)}. If the move is "
        f"genuine, add the row '{symbol},{days[1]}' to the list that ALLOCATOR_LIVE_CONFIRMED names (CSV of symbol, "
        "date).",
        source=source,
        symbol=symbol,
        week=str(days[1]),
    )
