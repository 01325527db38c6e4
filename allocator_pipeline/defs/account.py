"""One week of an allocator's paper account: its decision executed, if the week is over."""

from __future__ import annotations

from typing import Any

import pandas as pd

from allocator_pipeline.account.tape import Tape
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.errors import MissingPartitionError
from allocator_pipeline.market import calendar


def account_week(key: str, run: str, store: StoreResource, market: MarketResource) -> dict[str, Any]:
    """Book a recorded decision in the paper account if its exit price is known.

    Parameters
    ----------
    key : str
        ``allocator|week``.
    run : str
        Run id of the decision.
    store : StoreResource
    market : MarketResource

    Returns
    -------
    dict
        ``status`` ("booked", or "pending" while the exit price is not known), ``run_id`` and ``booking``, the values of
        `account.booking.Booking` or None.

    Raises
    ------
    MissingPartitionError
        If the decision is not recorded, prices are not stored, or the weeks before are not booked.
    MarketDataError
        If a price is missing.
    ConflictError
        If another decision of that week is booked.
    """
    allocator, week = split(key)
    row = store.experience.get(run)
    if row is None:
        raise MissingPartitionError(
            f"There is no decision {run} to execute.", todo="materialise decisions of that week first.", week=week
        )
    sessions, coverage = calendar.week(week), market.source.coverage()
    if sessions["exit_session"] > pd.Timestamp(coverage.last_session):
        return {"status": "pending", "run_id": run, "booking": None}
    years = range(sessions["execution_session"].year, sessions["exit_session"].year + 1)
    prices = pd.concat([store.assets.read("prices", str(year)) for year in years], ignore_index=True)
    booked = store.account(allocator).book(
        row.decision, Tape(prices, coverage.has_open), market.settings.costs, market.settings.account
    )
    return {"status": "booked", "run_id": run, "booking": booked.to_values()}
