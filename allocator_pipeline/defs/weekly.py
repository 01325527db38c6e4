"""One allocator's week: decide it from what is held, and label it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from allocator_pipeline.config import ANCHOR, WEEKS_PER_YEAR, CostConfig, Fallback, GateConfig
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import ConflictError, CorruptArtifactError
from allocator_pipeline.experience.labeling import Fills, label_week
from allocator_pipeline.experience.records import Decision, Experience, run_id
from allocator_pipeline.inference import (
    Portfolio,
    decide,
    decision_record,
    in_service,
    paper_portfolio,
    read_portfolio,
)
from allocator_pipeline.market import calendar
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.promotion import policy_of
from allocator_pipeline.registry.serving import Served, served_again, serving


def decide_week(
    key: str,
    states: StateTensors,
    store: StoreResource,
    costs: CostConfig,
    gate: GateConfig,
    given: Mapping[str, Any],
    earlier: Mapping[str, Mapping[str, Any]],
    fallback: Fallback = "refuse",
) -> dict[str, Any]:
    """Let the champion of a week decide it, or equal weight where the gate demands a badge that the champion lacks.

    Parameters
    ----------
    key : str
        ``allocator|week``.
    states : StateTensors
        Hold the week, and the week before for the paper account.
    store : StoreResource
    costs : CostConfig
    gate : GateConfig
        In force now; a week that is recorded already was served under the gate of its time, and stays as it was.
    given : mapping
        ``file`` or ``values`` of a portfolio snapshot, or None; and the ``attempt``.
    earlier : mapping
        Decisions made in the same run, by key, that are not recorded yet.
    fallback : {"refuse", "previous"}
        Whether a former champion may serve in the place of a damaged one.

    Returns
    -------
    dict
        ``target_weights`` by symbol and CASH; ``policy_version``, what was served; ``champion``, its version, and
        ``fallback``, why a former one took its place, if one did; ``proven``, whether the one or the other had the
        badge by that week; ``proof_unread``, only where that could not be read and nothing hangs on it, why; then it
        is not ``proven``; ``turnover``, ``sold``, ``orders`` and the ``record`` for the experience store.

    Raises
    ------
    NoChampionError
        If no champion is effective at the week.
    ConfigurationError
        If the snapshot is malformed.
    ConflictError
        If the week is decided otherwise already and may not be decided again, or weeks before it are missing.
    CorruptArtifactError
        If the champion or its log is damaged; or the ledger of tries, and the gate demands a badge.
    """
    allocator, week = split(key)
    attempt = _attempt(run_id(week, allocator), given, store)
    recorded = _recorded(run_id(week, allocator), attempt, store)
    served = _served(allocator, week, recorded, store, fallback)
    portfolio = _portfolio(allocator, week, states, store, given, earlier)
    if recorded is not None:
        gate = replace(gate, proof_to_serve=recorded.policy_version == ANCHOR)
    proven, unread = _proven(served.artifact.version, week, store.court(allocator), gate)
    decider = in_service((served.artifact.version, policy_of(served.artifact)), proven=proven, gate=gate, costs=costs)
    decided = decide(allocator, decider, states, week, portfolio, costs, attempt)
    record = decision_record(decided, attempt, served.fallback)
    store.experience.check_decision(record, calendar.now())  # before anything shows weights that will be refused
    return {
        "target_weights": dict(decided.target),
        "policy_version": decided.version,
        "champion": served.champion,
        "fallback": served.fallback,
        "proven": proven,
        **({"proof_unread": unread} if unread is not None else {}),
        "turnover": decided.turnover,
        "sold": dict(decided.sold),
        "orders": [dict(order) for order in decided.orders],
        "record": asdict(record),
    }


def made(week: str) -> str:
    """Say whether a decision that is recorded now is in time, or late: then nobody could have followed it."""
    opened = calendar.exchange().session_open(calendar.week(week)["execution_session"])
    days = (calendar.now() - opened).total_seconds() / 86400
    return f"late, {days:.1f} days after its execution, from what was known at its decision" if days > 0 else "in time"


def _attempt(run: str, given: Mapping[str, Any], store: StoreResource) -> int:
    """Return the attempt asked for; without a portfolio not one that was replaced, but the one that replaced it."""
    row = store.experience.get(run) if given["file"] is given["values"] is None else None
    return int(given["attempt"]) if row is None else max(given["attempt"], row.decision.attempt)


def _recorded(run: str, attempt: int, store: StoreResource) -> Decision | None:
    """Return the recorded decision of an attempt: it stays as it was served, whatever gate and fallback are now."""
    row = store.experience.get(run)
    return row.decision if row is not None and row.decision.attempt == attempt else None


def _served(allocator: str, week: str, recorded: Decision | None, store: StoreResource, fallback: Fallback) -> Served:
    log = store.verdicts(allocator)
    if recorded is None:
        return serving(log, store.models, week, fallback)
    if recorded.fallback is None:
        return serving(log, store.models, week, "refuse")  # nobody else decides a week over again
    if recorded.policy_version == ANCHOR:
        return replace(serving(log, store.models, week, "previous"), fallback=recorded.fallback)
    return served_again(log, store.models, week, recorded.policy_version, recorded.fallback)


def _proven(version: str, week: str, court: Court, gate: GateConfig) -> tuple[bool, str | None]:
    """Return whether a version has the badge by a week; and, where only what is shown hangs on it, why none knows."""
    try:
        return court.proof(version, by=week) is not None, None
    except CorruptArtifactError as error:
        if gate.proof_to_serve:
            raise
        return False, str(error)  # the ledger is everyone's: what is damaged of another's try stops nobody here


def _portfolio(
    allocator: str,
    week: str,
    states: StateTensors,
    store: StoreResource,
    given: Mapping[str, Any],
    earlier: Mapping[str, Mapping[str, Any]],
) -> Portfolio:
    """Return the portfolio given; else the one this week was decided from before; else the paper account."""
    snapshot = Path(given["file"]) if given["file"] is not None else given["values"]
    if snapshot is not None:
        return read_portfolio(snapshot, lambda: _closes(week, store))
    recorded = store.experience.get(run_id(week, allocator))
    if recorded is not None:
        held = recorded.decision.portfolio
        return Portfolio(
            held["source"], held["holdings"], held.get("nav"), held.get("run_id"), held.get("quantities", {})
        )
    before = str(calendar.shift_week(week, -1).date())
    if f"{allocator}|{before}" in earlier:
        return paper_portfolio(Decision(**earlier[f"{allocator}|{before}"]["record"]), week, states)
    previous = store.experience.get(run_id(before, allocator))
    if previous is None:
        _refuse_gap(allocator, week, before, store)
    return paper_portfolio(previous.decision if previous is not None else None, week, states)


def _closes(week: str, store: StoreResource) -> dict[str, float]:
    """Return the closes by symbol that the decision of a week sees, USD."""
    session = calendar.week(week)["decision_session"]
    prices = store.assets.read("prices", str(session.year))
    return prices[prices["date"] == session].set_index("symbol")["close"].to_dict()


def _refuse_gap(allocator: str, week: str, before: str, store: StoreResource) -> None:
    """Refuse to start a paper account anew where one was decided not long ago: missed weeks are caught up first."""
    horizon = str(calendar.shift_week(week, -WEEKS_PER_YEAR // 2).date())
    recent = [
        row.decision.week_start
        for row in store.experience.records(allocator)
        if horizon <= row.decision.week_start < before
    ]
    if recent:
        missing = str(calendar.shift_week(recent[-1], 1).date())
        raise ConflictError(
            f"{allocator} was last decided for {recent[-1]}; the weeks since then are missing.",
            todo=f"materialise target_weights and decisions from {missing} on, in order, or give a portfolio.",
            week=missing,
        )


def label_decision(
    run: str, states: StateTensors, store: StoreResource, market: MarketResource, account: Mapping[str, Any]
) -> dict[str, Any]:
    """Label a recorded decision if its exit price is known, and return the row as JSON values.

    Parameters
    ----------
    run : str
        Its run id.
    states : StateTensors
        Hold the week and the next one.
    store : StoreResource
    market : MarketResource
    account : mapping
        The week in the paper account, as `account.account_week` returns it.

    Returns
    -------
    dict
        The decision's and the label's fields, and ``status``: ``labeled``, or ``pending`` while the exit price is not
        known.
    """
    fills = _fills(store.experience.get(run), account.get("booking"))
    last = market.source.coverage().last_session
    status = label_week(store.experience, run, states, last, market.settings.costs, fills)
    row = store.experience.get(run)
    assert row is not None  # noqa: S101 (label_week has found it)
    label = asdict(row.label) if row.label is not None else {}
    return {**asdict(row.decision), **label, "status": "pending" if status == "pending" else "labeled"}


def _fills(row: Experience | None, booking: Mapping[str, Any] | None) -> Fills | None:
    """Return the fills of a label: as written, also if that was before there was an account, else those booked."""
    if row is not None and row.label is not None:
        return Fills(row.label.actual_weights, row.label.execution_report)
    return Fills(booking["actual_weights"], booking["execution_report"]) if booking else None
