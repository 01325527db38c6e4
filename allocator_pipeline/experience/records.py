"""One week of experience: what was decided, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.config import CASH, SIGNALS
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.market import calendar
from allocator_pipeline.paths import safe_name
from allocator_pipeline.portfolio.state import Observation

DECISION_TIME = "18:00"
DECISION_ZONE = "Asia/Kolkata"
LABEL_TIME = "12:00"
LABEL_ZONE = "America/New_York"


@dataclass(frozen=True)
class Decision:
    """What was decided for a week, written before its execution.

    Parameters
    ----------
    run_id : str
        ``paper:YYYY-MM-DD:<allocator>``.
    week_start, week_end : str
        ISO Monday, and the last session of the week.
    allocator : str
    policy_version : str
        The champion that decided.
    state : mapping
        ``signals`` (symbol -> signal -> value, None where missing), ``forecasts`` (symbol -> expected weekly log
        return) and ``current_weights`` (symbol and CASH -> weight): what the policy saw.
    action : mapping of str to float
        Intended weight by symbol and CASH.
    turnover : float
        Intended one-way turnover from the weights known at the decision.
    portfolio : mapping
        ``source`` ("cash", "paper" or "given"), ``holdings`` known at the decision (those outside the universe too);
        for "paper" ``run_id`` of the week before, whose true weights at execution the label starts from; for a known
        value ``nav`` and ``orders``; ``quantities``, shares by symbol, where a portfolio was given in shares.
    decided_at : str
        When the decision was due, UTC; a logical time, equal in every run.
    attempt : int
        1, or one more for each replacement before execution.
    fallback : str or None
        Why a former champion decided in the place of a damaged one; None where nothing was damaged.
    """

    run_id: str
    week_start: str
    week_end: str
    allocator: str
    policy_version: str
    state: Mapping[str, Any]
    action: Mapping[str, float]
    turnover: float
    portfolio: Mapping[str, Any]
    decided_at: str
    attempt: int = 1
    fallback: str | None = None

    def to_json(self) -> bytes:
        """Serialise; equal decisions give equal bytes."""
        return canonical_json(asdict(self))


@dataclass(frozen=True)
class Label:
    """What came of a decision, written once when the exit price is known.

    Parameters
    ----------
    actual_weights : mapping of str to float
        Weights after execution, by the paper account; without one the intended ones.
    execution_report : sequence of mapping
        ``symbol, side, intended_qty, filled_qty, filled_avg_price, status, client_order_id`` by order of the paper
        account; where it has not booked the week ``weight_change``, quantities and prices None, and the status
        "not_booked".
    realized_turnover : float
        One-way turnover from the true weights at execution to the intended ones.
    cost : float
        Share of wealth paid for it.
    realized_return : float
        Simple return of the week after costs, of the intended weights.
    reward : float
        Scaled log of ``1 + realized_return``, as in training.
    holdings_after : mapping of str to float
        True weights at the next week's execution.
    next_state : mapping
        As `Decision.state`, of the next week.
    labeled_at : str
        When the label was due, UTC; a logical time.
    """

    actual_weights: Mapping[str, float]
    execution_report: Sequence[Mapping[str, Any]]
    realized_turnover: float
    cost: float
    realized_return: float
    reward: float
    holdings_after: Mapping[str, float]
    next_state: Mapping[str, Any]
    labeled_at: str

    def to_json(self) -> bytes:
        """Serialise; equal labels give equal bytes."""
        return canonical_json(asdict(self))


@dataclass(frozen=True)
class Experience:
    """One row of the store.

    Parameters
    ----------
    decision : Decision
    label : Label or None
        None while it is pending.
    superseded : sequence of Decision
        Earlier attempts, oldest first.
    """

    decision: Decision
    label: Label | None = None
    superseded: Sequence[Decision] = field(default_factory=tuple)


def run_id(week: str | pd.Timestamp, allocator: str) -> str:
    """Return the one identity of an allocator's week: ``paper:YYYY-MM-DD:<allocator>``."""
    monday = calendar.week(week)["week"].date().isoformat()
    return f"paper:{monday}:{safe_name(allocator, 'allocator')}"


def week_end(week: str | pd.Timestamp) -> str:
    """Return the last session of a week, ISO."""
    return str(calendar.week(calendar.shift_week(week, 1))["decision_session"].date())


def decision_due(week: str | pd.Timestamp) -> str:
    """Return when a week's decision is due: its Monday, 18:00 in Kolkata, before the exchange opens; ISO UTC."""
    monday = calendar.week(week)["week"].date().isoformat()
    return _utc(f"{monday} {DECISION_TIME}", DECISION_ZONE)


def label_due(week: str | pd.Timestamp) -> str:
    """Return when a week's label is due: noon in New York on the first Sunday after its exit session; ISO UTC."""
    exit_session = calendar.week(week)["exit_session"]
    sunday = exit_session + pd.Timedelta(days=6 - exit_session.weekday())
    return _utc(f"{sunday.date()} {LABEL_TIME}", LABEL_ZONE)


def state_values(observation: Observation) -> dict[str, Any]:
    """Return an observation as the ``state`` of a record: unscaled values by symbol, None where a signal is missing."""
    symbols = [str(symbol) for symbol in observation.symbols]
    return {
        "signals": {
            symbol: {
                name: None if observation.missing[slot, i] else float(observation.features[slot, i])
                for i, name in enumerate(SIGNALS)
            }
            for slot, symbol in enumerate(symbols)
        },
        "forecasts": {symbol: float(observation.features[slot, -1]) for slot, symbol in enumerate(symbols)},
        "current_weights": dict(zip([*symbols, CASH], observation.weights.tolist(), strict=True)),
    }


def observed(state: Mapping[str, Any], week: str) -> Observation:
    """Return the observation that `state_values` wrote, with its symbols in alphabetical order: it keeps no slots.

    Parameters
    ----------
    state : mapping
    week : str
        ISO Monday of the week decided.
    """
    symbols = sorted(state["forecasts"])
    signals = [[state["signals"][symbol][name] for name in SIGNALS] for symbol in symbols]
    missing = np.array([[value is None for value in values] for values in signals])
    features = np.array(
        [
            [*(value or 0.0 for value in values), state["forecasts"][symbol]]
            for symbol, values in zip(symbols, signals, strict=True)
        ]
    )
    weights = np.array([state["current_weights"][name] for name in [*symbols, CASH]])
    return Observation(np.datetime64(week, "D"), np.array(symbols), features, missing, weights)


def from_stored(payload: str, seal: str, kind: type[Decision] | type[Label], run: str) -> Any:
    """Read back what ``to_json`` wrote.

    Raises
    ------
    CorruptArtifactError
        If it fails its seal or misses a field.
    """
    try:
        if sha256(payload.encode()) != seal:
            raise ValueError("it fails its sha256")
        return kind(**json.loads(payload))
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptArtifactError(
            f"The {kind.__name__.lower()} of {run} cannot be trusted: {error}.",
            todo="restore the experience store from a backup.",
            source=run,
        ) from error


def _utc(local: str, zone: str) -> str:
    return pd.Timestamp(local, tz=zone).tz_convert("UTC").isoformat()
