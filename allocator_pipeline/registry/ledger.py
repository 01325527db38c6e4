"""Every try, in a log that nobody can edit (`registry.chain`), and the badge that only evidence over all of them earns.

A try is one look at the results of a recipe or version on scored weeks, whatever came of it; a failure is one too. The
badge `proven` needs evidence against *every* baseline: the error of claiming it wrongly is then that of the baseline
that is not beaten, and needs no further correction for their number (Berger 1982).

A sequence has sixty tries (`evaluation.evidence`); the next try opens a new one. The error is bounded for each
sequence, not for all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.errors import ConflictError
from allocator_pipeline.evaluation.evidence import DRAWS, SEED, TRIES, correlation_row, scored
from allocator_pipeline.paths import inside, safe_name
from allocator_pipeline.registry.chain import Chain, Link, seal_of
from allocator_pipeline.registry.sequence import next_thresholds

BASELINES = ("hrp", "equal_weight")
"""What the badge must be earned against."""

PROVEN, NOT_PROVEN, TIE, FAILED = "proven", "not_proven", "tie", "failed"


@dataclass(frozen=True)
class Try:
    """One look at results, before it has a place in the ledger.

    Parameters
    ----------
    allocator, candidate : str
        What was tried, such as ``"ppo_lstm"`` and a version or a recipe's name.
    recipe_sha256, data_sha256 : str
        Hashes of all settings and of the data.
    date : str
        ISO day given by the caller, such as the week that the verdict takes effect; not the wall clock's.
    weeks : sequence of str
        ISO Mondays of the scored weeks, increasing; empty for a failure.
    net : sequence of float
        Net returns of the candidate in those weeks.
    baselines : mapping of str to sequence of float
        Net returns of `BASELINES` in the same weeks.
    failure : str or None
        Why there are no results.
    """

    allocator: str
    candidate: str
    recipe_sha256: str
    data_sha256: str
    date: str
    weeks: Sequence[str] = ()
    net: Sequence[float] = ()
    baselines: Mapping[str, Sequence[float]] = field(default_factory=dict)
    failure: str | None = None

    @property
    def identity(self) -> str:
        """Hash of all but the date: the same try on another day is the same try."""
        content = {
            **asdict(self),
            "weeks": list(self.weeks),
            "net": _numbers(self.net),
            "baselines": {name: _numbers(values) for name, values in self.baselines.items()},
        }
        del content["date"]
        return sha256(canonical_json(content))


@dataclass(frozen=True)
class Entry(Link):
    """A try in the ledger.

    Parameters
    ----------
    number, previous_sha256
        Its place in the log, see `registry.chain.Link`.
    ledger : str
        Name of the ledger.
    sequence, position : int
        Which sequence of sixty, from 1, and which try of it, from 1.
    allocator, candidate, recipe_sha256, data_sha256, date, weeks, failure
        As in `Try`.
    try_sha256 : str
        Identity of the try, returns included.
    against : mapping
        Baseline -> ``stream`` (influence of each week on the Sharpe difference), ``sharpe_difference`` (per root year),
        ``t``, ``z``, ``correlations`` (with the tries of the sequence up to this one), ``threshold`` and ``spent``
        (error spent after it). Empty streams for a failure.
    draws, seed : int
        Of the thresholds.
    verdict : {"proven", "not_proven", "tie", "failed"}
    """

    ledger: str
    sequence: int
    position: int
    allocator: str
    candidate: str
    recipe_sha256: str
    data_sha256: str
    date: str
    weeks: Sequence[str]
    failure: str | None
    try_sha256: str
    against: Mapping[str, Mapping[str, Any]]
    draws: int
    seed: int
    verdict: str

    @property
    def log(self) -> str:
        """The ledger."""
        return self.ledger

    @property
    def identity(self) -> str:
        """Hash of the try."""
        return self.try_sha256


class EvidenceLedger:
    """All tries on one market.

    Parameters
    ----------
    root : Path
        Holds a folder of numbered files with the ledger's name.
    name : str
        One ledger for all allocators: whoever tries six of them has tried six times.
    draws, seed : int
        Of the thresholds.
    """

    def __init__(self, root: Path, name: str = "evidence", draws: int = DRAWS, seed: int = SEED) -> None:
        self.name, self.draws, self.seed = safe_name(name, "ledger"), draws, seed
        self.folder = inside(root, name)
        self._chain = Chain(self.folder, Entry, name, f"tries in {name}")

    def history(self) -> list[Entry]:
        """Return every try in order, verified.

        Raises
        ------
        CorruptArtifactError
            If an entry was changed, removed, moved or slipped in.
        """
        return self._chain.history()

    def record(self, attempt: Try) -> Entry:
        """Judge a try and record it; the same one again is the entry there is.

        Raises
        ------
        ConflictError
            If the try lacks a baseline or has weeks out of order, or others kept recording all the while.
        NotEnoughDataError
            If there are fewer than 26 weeks; record a failure then.
        WeightsError
            If a return is not finite or lengths differ.
        StorageError, CorruptArtifactError
            As `registry.chain.Chain`.
        """
        comparisons = compare(attempt)

        def entry(history: list[Entry]) -> Entry:
            return judged(attempt, comparisons, history, self.name, self.draws, self.seed)

        return self._chain.once(attempt.identity, entry)

    def proof(self, allocator: str, candidate: str, by: str | None = None) -> Entry | None:
        """Return the first entry that proved a candidate of an allocator, or None.

        Parameters
        ----------
        allocator, candidate : str
        by : str, optional
            ISO day; only entries dated up to it count.
        """
        wanted = (allocator, candidate, PROVEN)
        for entry in self.history():
            if (entry.allocator, entry.candidate, entry.verdict) == wanted and (by is None or entry.date <= by):
                return entry
        return None


def compare(attempt: Try) -> dict[str, dict[str, Any]]:
    """Score a try against every baseline: `evaluation.evidence.scored`; empty streams for a failure."""
    if attempt.failure is not None:
        return {name: {"stream": [], "sharpe_difference": 0.0, "t": 0.0, "z": 0.0} for name in BASELINES}
    absent = [name for name in BASELINES if name not in attempt.baselines]
    weeks = list(attempt.weeks)
    if absent or len(weeks) != len(attempt.net) or weeks != sorted(set(weeks)):
        raise ConflictError(
            f"The try of {attempt.candidate} lacks {' and '.join(absent) or 'a return for each of successive weeks'}.",
            todo="pass weeks in order, and returns of the candidate and of every baseline in each.",
        )
    return {name: scored(attempt.net, attempt.baselines[name]) for name in BASELINES}


def judged(
    attempt: Try,
    comparisons: Mapping[str, Mapping[str, Any]],
    history: Sequence[Entry],
    ledger: str,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Entry:
    """Return the entry that a try becomes after a history; pure.

    Parameters
    ----------
    attempt : Try
    comparisons : mapping
        As `compare` returns them.
    history : sequence of Entry
        The whole ledger so far.
    ledger : str
    draws, seed : int
        Of the thresholds; a sequence keeps those it began with.
    """
    sequence, before = divmod(len(history), TRIES)
    earlier = history[sequence * TRIES :]
    if earlier:
        draws, seed = earlier[0].draws, earlier[0].seed
    row = {
        name: correlation_row(
            attempt.weeks,
            comparisons[name]["stream"],
            [(entry.weeks, entry.against[name]["stream"]) for entry in earlier],
        ).tolist()
        for name in BASELINES
    }
    rows = [[entry.against[name]["correlations"] for name in BASELINES] for entry in earlier]
    thresholds, spent = next_thresholds([*rows, list(row.values())], draws, seed)
    against = {
        name: {**comparisons[name], "correlations": row[name], "threshold": threshold, "spent": share}
        for name, threshold, share in zip(BASELINES, thresholds, spent, strict=True)
    }
    count, seal = seal_of(list(history))
    return Entry(
        number=count + 1,
        previous_sha256=seal,
        ledger=ledger,
        sequence=sequence + 1,
        position=before + 1,
        allocator=attempt.allocator,
        candidate=attempt.candidate,
        recipe_sha256=attempt.recipe_sha256,
        data_sha256=attempt.data_sha256,
        date=attempt.date,
        weeks=list(attempt.weeks),
        failure=attempt.failure,
        try_sha256=attempt.identity,
        against=against,
        draws=draws,
        seed=seed,
        verdict=_verdict(attempt, against),
    )


def _verdict(attempt: Try, against: Mapping[str, Mapping[str, Any]]) -> str:
    if attempt.failure is not None:
        return FAILED
    if any(not any(comparison["stream"]) for comparison in against.values()):
        return TIE
    return PROVEN if all(each["z"] > each["threshold"] for each in against.values()) else NOT_PROVEN


def _numbers(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values]
