"""Typed errors: each says source, symbol and week where they apply, and what to do next."""

from __future__ import annotations


class AllocatorError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    problem : str
        What is wrong, in one sentence.
    todo : str
        What the reader should do next.
    source, symbol, week : str, optional
        Where it went wrong: a market source or file, a ticker, a week or date.
    """

    def __init__(
        self,
        problem: str,
        *,
        todo: str,
        source: str | None = None,
        symbol: str | None = None,
        week: str | None = None,
    ) -> None:
        self.problem, self.todo = problem, todo
        self.source, self.symbol, self.week = source, symbol, week
        where = [
            f"{name}={value}"
            for name, value in (("source", source), ("symbol", symbol), ("week", week))
            if value is not None
        ]
        place = f" [{', '.join(where)}]" if where else ""
        super().__init__(f"{problem}{place} What to do: {todo}")

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error cross from a worker process with all its fields."""
        return (_rebuilt, (type(self), self.problem, self.todo, self.source, self.symbol, self.week))


def _rebuilt(
    kind: type[AllocatorError], problem: str, todo: str, source: str | None, symbol: str | None, week: str | None
) -> AllocatorError:
    return kind(problem, todo=todo, source=source, symbol=symbol, week=week)


class ConfigurationError(AllocatorError):
    """A setting is absent, malformed or out of its allowed range."""


class MarketDataError(AllocatorError):
    """Source data is absent, malformed or contradicts itself."""


class IncompleteDataError(MarketDataError):
    """What a vendor has sent, or what is stored of it, is not the whole of what must be there."""


class VendorError(AllocatorError):
    """A vendor of data does not answer, refuses, or answers nonsense; what was stored before is unchanged."""


class VendorRefusedError(VendorError):
    """A vendor refuses the keys, or its quota is used up: trying again at once is of no use."""


class VendorDownError(VendorError):
    """A vendor does not answer, or with what is no answer about anything: it may be down for all names."""


class NothingThereError(VendorError):
    """A vendor has nothing of the name that was asked for; of other names it may have all."""


class NotEnoughDataError(AllocatorError):
    """Too few symbols, sessions or weeks for what was asked."""


class MissingPartitionError(AllocatorError):
    """An upstream partition that this step reads has not been materialised."""


class CorruptArtifactError(AllocatorError):
    """A stored file fails its checksum, schema or shape, or is of a refused format."""


class StorageError(AllocatorError):
    """The file system refused a write (disk full, permissions); the old file is intact."""


class UnsafeNameError(AllocatorError):
    """A symbol, key, version or path would leave the data folder or cannot be stored."""


class WeightsError(AllocatorError):
    """Logits, weights or returns are not finite or break a constraint."""


class OptimisationError(AllocatorError):
    """An optimiser has found no solution, or none it vouches for."""


class TrainingDivergedError(WeightsError):
    """A number of a training has stopped being finite."""


class WorkerError(AllocatorError):
    """A process that trains has died, or has met an error that this package does not raise on purpose."""


class NoChampionError(AllocatorError):
    """No promoted policy is effective for the week asked."""


class ConflictError(AllocatorError):
    """Something already stored differs from what is being written (decision, label, verdict)."""


class LabelError(AllocatorError):
    """A label is due but the prices it needs are missing."""


class BrokerError(AllocatorError):
    """A broker does not answer, refuses, or answers nonsense."""


class NotPaperError(BrokerError):
    """A brokerage account is not known to be a paper account; nothing is read from it."""


class HubError(AllocatorError):
    """The model hub is out of reach, refuses, or does not hold what it should; nothing local has changed."""


class DeliveryError(AllocatorError):
    """A message could not be delivered."""
