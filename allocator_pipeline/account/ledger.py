"""The ledger of a paper account: one booking a week, in a log that nobody can edit (`registry.chain`).

A booking is one file, created whole or not at all, and there is one of each run: a week is executed exactly once,
whatever is killed or run again.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from allocator_pipeline.account.booking import Booking, book_week
from allocator_pipeline.account.tape import Tape
from allocator_pipeline.atomic import sha256
from allocator_pipeline.config import AccountConfig, CostConfig
from allocator_pipeline.errors import ConflictError, CorruptArtifactError
from allocator_pipeline.experience.records import Decision
from allocator_pipeline.paths import inside
from allocator_pipeline.registry.chain import Chain


class AccountLedger:
    """Bookings of one account.

    Parameters
    ----------
    root : Path
        Folder of all accounts.
    account : str
        Allocator whose account it is.
    """

    def __init__(self, root: Path, account: str) -> None:
        self.account = account
        self._chain = Chain(inside(root, account), Booking, account, f"bookings of {account}")

    def book(self, decision: Decision, tape: Tape, costs: CostConfig, config: AccountConfig) -> Booking:
        """Execute a decision unless it is executed already.

        Parameters
        ----------
        decision : Decision
        tape : Tape
            As in `booking.book_week`.
        costs : CostConfig
        config : AccountConfig

        Returns
        -------
        Booking
            The new one, or the one of an earlier call.

        Raises
        ------
        ConflictError
            If another decision of the same run is booked.
        MissingPartitionError, MarketDataError
            As `booking.book_week`.
        CorruptArtifactError, StorageError
            If the ledger cannot be trusted or written.
        """
        try:
            booked = self._chain.once(
                decision.run_id,
                lambda history: book_week(history[-1] if history else None, decision, tape, costs, config),
            )
        except CorruptArtifactError as error:
            raise _untrusted(error) from error
        if booked.decision_sha256 != sha256(decision.to_json()):
            raise ConflictError(
                f"{decision.run_id} is booked as attempt {booked.attempt}, of another decision.",
                todo="find out why the recorded decision changed; a booking is never changed.",
                source=decision.run_id,
                week=decision.week_start,
            )
        return booked

    def history(self) -> list[Booking]:
        """Return all bookings in order, verified.

        Raises
        ------
        CorruptArtifactError
            If one was changed, removed, moved or slipped in.
        """
        try:
            return self._chain.history()
        except CorruptArtifactError as error:
            raise _untrusted(error) from error


def nav_series(history: list[Booking]) -> pd.Series:
    """Return net asset value in USD by session: before the first orders, then at the end of each week."""
    if not history:
        return pd.Series(dtype="float64", index=pd.DatetimeIndex([]))
    values = {history[0].execution_session: history[0].nav_before}
    values |= {booking.exit_session: booking.nav for booking in history}
    return pd.Series(list(values.values()), index=pd.DatetimeIndex(list(values)), dtype="float64")


def _untrusted(error: CorruptArtifactError) -> CorruptArtifactError:
    return CorruptArtifactError(
        error.problem,
        todo="restore the folder from a backup; or move it away and materialise paper_account from the first week on.",
        source=error.source,
    )
