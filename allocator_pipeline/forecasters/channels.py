"""The channels a forecaster may read, and which of them a source has what they need for.

Daily channels are read as sequences. Slow ones are daily ones added up over as many days as their name says: what a
network that looks back 60 days could never find.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

DAILY = ("return", "overnight", "high", "low", "volume")
"""Close to close, close to open, high and low against the close, and volume against its past; relative, scaled."""

SLOW = ("return_20", "return_60", "return_252", "volume_20")

NEEDS = {
    "return": (),
    "overnight": ("open",),
    "high": ("high",),
    "low": ("low",),
    "volume": ("volume",),
    "return_20": (),
    "return_60": (),
    "return_252": (),
    "volume_20": ("volume",),
}
"""Fields of a bar, beside its close, that a channel is made of."""

MIN_SLOW = 20
"""Days that must be observed of those a slow channel adds up, as far as it goes back."""


def parts(name: str) -> tuple[str, int | None]:
    """Split a name: ``"return_20"`` -> ``("return", 20)``, ``"return"`` -> ``("return", None)``."""
    base, _, days = name.partition("_")
    return base, int(days) if days else None


def readable(wanted: Sequence[str], fields: Collection[str]) -> tuple[str, ...]:
    """Return those of the wanted channels that a source with these fields has."""
    return tuple(name for name in wanted if set(NEEDS[name]) <= set(fields))


def fields_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that channels need, sorted."""
    return tuple(sorted({field for name in names for field in NEEDS[name]}))


def daily_first(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the positions of the daily and of the slow channels."""
    daily = [at for at, name in enumerate(names) if name in DAILY]
    return daily, [at for at in range(len(names)) if at not in daily]


def cumulated(values: np.ndarray, days: int) -> np.ndarray:
    """Return the sum over the last days by the root of their number, so that its scale is that of one day.

    Parameters
    ----------
    values : ndarray of float64, shape (T, N)
        NaN where not observed.
    days : int

    Returns
    -------
    ndarray of float64, shape (T, N)
        Over the observed days only; NaN where fewer than `MIN_SLOW` are. A young listing is summed over what it has.
    """
    rolling = pd.DataFrame(values).rolling(days, min_periods=min(days, MIN_SLOW))
    return rolling.sum().to_numpy() / np.sqrt(rolling.count().to_numpy())
