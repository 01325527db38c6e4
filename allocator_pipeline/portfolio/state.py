"""State tensors: what a policy may see at each decision, and what the weeks then paid.

The observation of one week has 136 numbers: for each of the 15 slots its 7 signals, in slot order; then the 15
forecasts; then the 15 weights and CASH. Tensors are stored unscaled; the scaler belongs to the policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from allocator_pipeline.config import N_STOCKS, SIGNALS
from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError


@dataclass(frozen=True)
class Observation:
    """What an allocator sees at one decision.

    Several portfolios may decide the same week at once, each with features and holdings of its own: features, missing
    and weights then have further axes before those named here.

    Parameters
    ----------
    week : numpy.datetime64[D]
        Monday of the week decided.
    symbols : ndarray of str, shape (15,)
        The symbol in each slot.
    features : ndarray of float64, shape (15, 8)
        Unscaled signals and forecast.
    missing : ndarray of bool, shape (15, 7)
        True where a signal is missing.
    weights : ndarray of float64, shape (16,)
        Weights held now, CASH last; what is held outside the universe counts as CASH, since it will be sold.
    """

    week: np.datetime64
    symbols: np.ndarray
    features: np.ndarray
    missing: np.ndarray
    weights: np.ndarray

    @property
    def vector(self) -> np.ndarray:
        """The 136 numbers in the order of the module's docstring, unscaled."""
        return np.concatenate([self.features[:, :-1].ravel(), self.features[:, -1], self.weights])


@dataclass(frozen=True)
class StateTensors:
    """Weeks in order, with slots as columns.

    Parameters
    ----------
    weeks : ndarray of datetime64[D], shape (T,)
        Mondays.
    symbols : ndarray of str, shape (T, 15)
        The symbol in each slot.
    signals : ndarray of float64, shape (T, 15, 7)
        Unscaled signals in the order of `config.SIGNALS`; 0 where missing.
    missing : ndarray of bool, shape (T, 15, 7)
        True where a signal is missing.
    forecasts : ndarray of float64, shape (T, 15)
        Expected weekly log return.
    returns : ndarray of float64, shape (T, 15)
        Simple return from this week's execution to the next week's; NaN where it is not known yet.
    marks : ndarray of float64, shape (T, 15)
        Simple return from this week's execution to the next decision's close: what the holder has seen of the week when
        deciding again. NaN where it is not known yet.
    """

    weeks: np.ndarray
    symbols: np.ndarray
    signals: np.ndarray
    missing: np.ndarray
    forecasts: np.ndarray
    returns: np.ndarray
    marks: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.weeks)
        shapes = {
            "symbols": (count, N_STOCKS),
            "signals": (count, N_STOCKS, len(SIGNALS)),
            "missing": (count, N_STOCKS, len(SIGNALS)),
            "forecasts": (count, N_STOCKS),
            "returns": (count, N_STOCKS),
            "marks": (count, N_STOCKS),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise CorruptArtifactError(
                    f"State tensor {name!r} has shape {getattr(self, name).shape}, not {shape}.",
                    todo="materialise state_tensors again.",
                )
        if not (np.isfinite(self.signals).all() and np.isfinite(self.forecasts).all()):
            raise CorruptArtifactError(
                "Signals or forecasts of the state are not finite.", todo="materialise signals and forecasts again."
            )
        if count > 1 and not (np.diff(self.weeks.astype("datetime64[D]")) > np.timedelta64(0, "D")).all():
            raise CorruptArtifactError("The weeks of the state are not in order.", todo="materialise it again.")

    def __len__(self) -> int:
        return len(self.weeks)

    def __getitem__(self, rows: slice | np.ndarray) -> StateTensors:
        """Return some of the weeks."""
        return StateTensors(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    @property
    def features(self) -> np.ndarray:
        """Signals and forecast by slot, shape (T, 15, 8): the part of the observation that a scaler touches."""
        return np.concatenate([self.signals, self.forecasts[..., None]], axis=-1)

    @property
    def known(self) -> np.ndarray:
        """True for weeks whose returns are all known, shape (T,)."""
        return np.isfinite(self.returns).all(axis=1)

    def between(self, first: str | pd.Timestamp | None = None, last: str | pd.Timestamp | None = None) -> StateTensors:
        """Return the weeks whose Monday lies from ``first`` to ``last``, both included."""
        keep = np.ones(len(self), dtype=bool)
        if first is not None:
            keep &= self.weeks >= np.datetime64(pd.Timestamp(first), "D")
        if last is not None:
            keep &= self.weeks <= np.datetime64(pd.Timestamp(last), "D")
        return self[keep]

    def row(self, week: str | pd.Timestamp) -> int:
        """Return the row of a week.

        Raises
        ------
        NotEnoughDataError
            If the week is not there.
        """
        found = np.flatnonzero(self.weeks == np.datetime64(pd.Timestamp(week), "D"))
        if len(found) != 1:
            raise NotEnoughDataError(
                "The state tensors hold no such week.",
                todo="materialise prices to state_tensors of its year after its decision session has closed.",
                week=str(pd.Timestamp(week).date()),
            )
        return int(found[0])

    def observation(self, row: int, weights: np.ndarray) -> Observation:
        """Return what an allocator that holds ``weights`` (shape (16,), CASH last) sees at a row."""
        features = np.concatenate([self.signals[row], self.forecasts[row, :, None]], axis=-1)  # of this week alone
        return Observation(self.weeks[row], self.symbols[row], features, self.missing[row], weights)

    def carry(self) -> np.ndarray:
        """Return where each slot's symbol stood the week before, shape (T, 15): a slot index, or -1 if it did not.

        The first week carries slot to slot. By it weights follow symbols when the universe changes.
        """
        carry = np.tile(np.arange(N_STOCKS), (len(self), 1))
        for t in range(1, len(self)):
            if (self.symbols[t] != self.symbols[t - 1]).any():
                before = {symbol: slot for slot, symbol in enumerate(self.symbols[t - 1])}
                carry[t] = [before.get(symbol, -1) for symbol in self.symbols[t]]
        return carry

    def digest(self) -> str:
        """Return a sha256 over all the values: the data part of a version's hash."""
        digest = hashlib.sha256()
        for item in fields(self):
            value = getattr(self, item.name)
            text = "\n".join(value.ravel().tolist()).encode() if item.name == "symbols" else None
            digest.update(item.name.encode())
            digest.update(text if text is not None else np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """Serialise to safetensors; equal tensors give equal bytes."""
        symbols = np.frombuffer("\n".join(self.symbols.ravel().tolist()).encode(), dtype=np.uint8)
        return save_safetensors(
            {
                "weeks": self.weeks.astype("datetime64[D]").astype(np.int64),
                "symbols": symbols.copy(),
                "missing": np.ascontiguousarray(self.missing, dtype=np.uint8),  # safetensors writes memory as it lies
                **{name: np.ascontiguousarray(getattr(self, name), dtype=np.float64) for name in _FLOATS},
            }
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> StateTensors:
        """Read back what `to_bytes` wrote.

        Raises
        ------
        CorruptArtifactError
            If it is anything else.
        """
        try:
            tensors = load_safetensors(payload)
            names = bytes(tensors["symbols"]).decode()
            count = len(tensors["weeks"])
            symbols = np.array(names.split("\n") if names else [], dtype=np.str_).reshape(count, N_STOCKS)
            return cls(
                weeks=tensors["weeks"].astype("datetime64[D]"),
                symbols=symbols,
                missing=tensors["missing"].astype(bool),
                **{name: tensors[name] for name in _FLOATS},
            )
        except CorruptArtifactError:
            raise
        except Exception as error:  # safetensors raises its own types for every kind of damage
            raise CorruptArtifactError(
                f"These are not state tensors: {error}.", todo="materialise state_tensors again."
            ) from error


_FLOATS = ("signals", "forecasts", "returns", "marks")


def concatenate(parts: Sequence[StateTensors]) -> StateTensors:
    """Join state tensors of successive years into one.

    Raises
    ------
    NotEnoughDataError
        If there is none.
    """
    if not parts:
        raise NotEnoughDataError("There are no state tensors to join.", todo="materialise state_tensors first.")
    return StateTensors(
        **{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(StateTensors)}
    )
