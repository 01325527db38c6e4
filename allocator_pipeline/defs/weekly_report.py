"""Gather a week's facts for its report: of every allocator, the baselines, the index fund, and the data.

Only what was known at the week's decision is read, so that a report made again later says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from allocator_pipeline.account.booking import Booking
from allocator_pipeline.atomic import sha256, write_bytes
from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.account import previewed_orders
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.weekly_rivals import rivals
from allocator_pipeline.defs.weekly_warnings import data_warnings
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.evaluation.report.court import champion_of, tries_so_far
from allocator_pipeline.evaluation.weekly.page import weekly_page
from allocator_pipeline.evaluation.weekly.rivals import last_known
from allocator_pipeline.experience.records import Decision, run_id
from allocator_pipeline.market import calendar
from allocator_pipeline.paths import inside

FOLDER = "weekly"


def weekly_facts(week: str, store: StoreResource, market: MarketResource, failed: Sequence[str]) -> dict[str, Any]:
    """Return everything that the report of a week shows, as JSON values; what does not exist is None.

    Parameters
    ----------
    week : str
        ISO Monday.
    store : StoreResource
    market : MarketResource
    failed : sequence of str
        Asset checks that did not pass when they last ran, in words.

    Returns
    -------
    dict
        ``week, decision_session, known_week`` (the newest week whose outcome was known then), ``market, simulated,
        notes, execution``; ``allocators`` by name (see `_contender`), ``rivals`` (see `weekly_rivals.rivals`),
        ``tries`` counted by then, and ``warnings``. An allocator that is damaged has nothing but ``damaged``, the
        error's words; what else is damaged is left out, and among the warnings.
    """
    known = last_known(week)
    contenders = {name: _contender_or_damage(name, week, known, store, market) for name in ALLOCATORS}
    whole = [name for name, one in contenders.items() if "damaged" not in one]
    verdicts = {name: _verdicts(name, week, store) for name in whole}
    context, beside = market.context, rivals(week, known, whole, store, market)
    return {
        "week": week,
        "decision_session": str(calendar.week(week)["decision_session"].date()),
        "known_week": known,
        **{name: context[name] for name in ("market", "simulated", "notes", "execution")},
        "allocators": contenders,
        "rivals": beside,
        "tries": tries_so_far(None, verdicts).count,
        "warnings": [*failed, *data_warnings(week, known, contenders, store), *beside["damaged"]],
    }


def write_weekly(facts: Mapping[str, Any], store: StoreResource) -> tuple[Path, str]:
    """Write the page of a week atomically.

    Returns
    -------
    tuple of (Path, str)
        ``weekly/<week>.html`` in the market's folder, and its text.
    """
    html, path = weekly_page(facts), inside(Path(store.root), FOLDER, f"{facts['week']}.html")
    write_bytes(path, html.encode())
    return path, html


def weekly_value(facts: Mapping[str, Any], html: str) -> dict[str, Any]:
    """Return what is stored of a report: its facts, and file and sha256 of its page."""
    return {**facts, "file": f"{FOLDER}/{facts['week']}.html", "sha256": sha256(html.encode())}


def _contender_or_damage(
    name: str, week: str, known: str, store: StoreResource, market: MarketResource
) -> dict[str, Any]:
    """Return one allocator's week as `_contender`, or what is wrong with what is stored of it: the others are shown."""
    try:
        return _contender(name, week, known, store, market)
    except AllocatorError as error:
        nothing = dict.fromkeys(("champion", "champion_before", "decision", "paper", "account"))
        return {**nothing, "result": {"status": "damaged"}, "verdicts": [], "damaged": str(error)}


def _contender(name: str, week: str, known: str, store: StoreResource, market: MarketResource) -> dict[str, Any]:
    """Return one allocator's week.

    ``champion`` (version, since, badge) or None, and ``champion_before``, its version of the week before; ``decision``
    (version, fallback, target, turnover, source, orders_from, orders) or None; ``result`` of the known week, with a
    ``status``; ``paper``, champion and challenger in that week, or None; ``account`` (weeks, sessions, growth, nav) or
    None; ``verdicts`` that took effect since the week before.
    """
    before = str(calendar.shift_week(week, -1).date())
    history = _verdicts(name, week, store)
    serving, served = champion_of(history), champion_of([item for item in history if item["effective_week"] <= before])
    store.experience.records(name)  # one damaged row is enough: what is missing cannot be told then
    row = store.experience.get(run_id(week, name))
    paper, booked = f"{name}|{known}", store.account(name).history()
    return {
        "champion": asdict(serving) if serving is not None else None,
        "champion_before": served.version if served is not None else None,
        "decision": None if row is None else _decision(row.decision, store, market),
        "result": _result(run_id(known, name), store, booked),
        "paper": _paper(store.assets.read("paper_evaluations", paper))
        if store.assets.has("paper_evaluations", paper)
        else None,
        "account": _account(week, booked),
        "verdicts": [item for item in history if item["effective_week"] > before],
    }


def _verdicts(name: str, week: str, store: StoreResource) -> list[dict[str, Any]]:
    return [asdict(item) for item in store.verdicts(name).history() if item.effective_week <= week]


def _decision(record: Decision, store: StoreResource, market: MarketResource) -> dict[str, Any]:
    preview = previewed_orders(record, store, market)
    return {
        "version": record.policy_version,
        "fallback": record.fallback,
        "target": record.action,
        "turnover": record.turnover,
        "source": record.portfolio["source"],
        "orders_from": preview.source,
        "orders": [{key: order[key] for key in ("symbol", "side", "notional")} for order in preview.orders],
    }


def _result(run: str, store: StoreResource, history: Sequence[Booking]) -> dict[str, Any]:
    row = store.experience.get(run)
    if row is None or row.label is None:
        return {"status": "not_decided" if row is None else "pending"}
    booked = {week.run_id: week.net for week in history}
    return {
        "status": "labelled",
        "version": row.decision.policy_version,
        "net": row.label.realized_return,
        "turnover": row.label.realized_turnover,
        "account_net": booked.get(run),
    }


def _paper(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        side: None if value[side] is None else {key: value[side][key] for key in ("version", "net", "turnover")}
        for side in ("champion", "challenger")
    }


def _account(week: str, history: Sequence[Booking]) -> dict[str, Any] | None:
    """Return an account as booked by a week's decision; growth is by net returns, whatever was paid in or out."""
    decided = str(calendar.week(week)["decision_session"].date())
    booked = [item for item in history if item.exit_session <= decided]
    if not booked:
        return None
    return {
        "weeks": [item.week for item in booked],
        "sessions": [booked[0].execution_session, *(item.exit_session for item in booked)],
        "growth": np.cumprod([1.0, *(1.0 + item.net for item in booked)]).tolist(),
        "nav": booked[-1].nav,
    }
