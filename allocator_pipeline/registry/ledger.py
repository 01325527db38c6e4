"""Every try, in a log that nobody can edit (`registry.chain`), and the badge that only evidence over all of them earns.

A try is one look at the results of a recipe or version on scored weeks, whatever came of it; a failure is one too. The
badge `proven` needs evidence against *every* baseline: the error of claiming it wrongly is then that of the baseline
that is not beaten, and needs no further correction for their number (Berger 1982).

A sequence has sixty places (`evaluation.evidence`); the next try that is scored opens a new one. The error is bounded
for each sequence, not for all of them together. Only what could be proven uses a place: a failure has no score, and a
tie with one baseline cannot be proven, whatever it is against the other. Both are counted and shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import canonical_json, sha256
from allocator_pipeline.errors import ConflictError, CorruptArtifactError
from allocator_pipeline.evaluation.evidence import DRAWS, SEED, TRIES, correlation_row, scored
from allocator_pipeline.evaluation.performance import TIE as RETURN_TIE
from allocator_pipeline.paths import inside, safe_name
from allocator_pipeline.registry.chain import Chain, Link, Witnesses, seal_of
from allocator_pipeline.registry.sequence import next_thresholds

BASELINES = ("hrp", "equal_weight")
"""What the badge must be earned against."""

PROVEN, NOT_PROVEN, TIE, FAILED = "proven", "not_proven", "tie", "failed"

SCORED = (PROVEN, NOT_PROVEN)
"""Verdicts on tries that use a place of their sequence."""


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
        Which sequence of sixty, from 1, and how many of its places are used so far, with this try if it is scored.
    allocator, candidate, recipe_sha256, data_sha256, date, weeks, failure
        As in `Try`.
    try_sha256 : str
        Identity of the try, returns included.
    against : mapping
        Baseline -> ``stream`` (influence of each week on the Sharpe difference), ``sharpe_difference`` (per root year),
        ``t``, ``z``, ``correlations`` (with the scored tries of the sequence up to this one), ``threshold`` and
        ``spent`` (error spent after it). Without correlations and threshold for a tie or a failure, whose streams
        against what it ties with are zero or empty.
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
    witnesses : callable, optional
        Tells of tries that the ledger must hold (`registry.chain.Chain`); `registry.court.open_ledger` passes all.
    """

    def __init__(
        self,
        root: Path,
        name: str = "evidence",
        draws: int = DRAWS,
        seed: int = SEED,
        witnesses: Witnesses = tuple,
    ) -> None:
        self.name, self.draws, self.seed = safe_name(name, "ledger"), draws, seed
        self.folder = inside(root, name)
        self._chain = Chain(self.folder, Entry, name, f"tries in {name}", witnesses)

    def history(self) -> list[Entry]:
        """Return every try in order, verified.

        Raises
        ------
        CorruptArtifactError
            If an entry was changed, removed, moved or slipped in, or the ledger was cut.
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
        """Return the entry that proved a candidate of an allocator: `proof_of` over all tries."""
        return proof_of(self.history(), allocator, candidate, by)


def proof_of(entries: Sequence[Entry], allocator: str, candidate: str, by: str | None = None) -> Entry | None:
    """Return the first of some entries that proved a candidate of an allocator, or None.

    A proof once given stands, whatever later tries of the same version bring: the error is bounded over the whole
    sequence, those later tries among it. Gate, serving, records and pages all go by this.

    Parameters
    ----------
    entries : sequence of Entry
        The ledger, or its beginning.
    allocator, candidate : str
    by : str, optional
        ISO day; only entries dated up to it count.
    """
    wanted = (allocator, candidate, PROVEN)
    for entry in entries:
        if (entry.allocator, entry.candidate, entry.verdict) == wanted and (by is None or entry.date <= by):
            return entry
    return None


def compare(attempt: Try) -> dict[str, dict[str, Any]]:
    """Score a try against every baseline: `evaluation.evidence.scored`; empty streams for a failure.

    Returns that differ from a baseline's by rounding alone (`evaluation.performance.TIE`) are taken for equal, so that
    a tie is one on every processor.
    """
    if attempt.failure is not None:
        return {name: {"stream": [], "sharpe_difference": 0.0, "t": 0.0, "z": 0.0} for name in BASELINES}
    absent = [name for name in BASELINES if name not in attempt.baselines]
    weeks = list(attempt.weeks)
    if absent or len(weeks) != len(attempt.net) or weeks != sorted(set(weeks)):
        raise ConflictError(
            f"The try of {attempt.candidate} lacks {' and '.join(absent) or 'a return for each of successive weeks'}.",
            todo="pass weeks in order, and returns of the candidate and of every baseline in each.",
        )
    return {name: scored(attempt.net, _unrounded(attempt.net, attempt.baselines[name])) for name in BASELINES}


def _unrounded(net: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return another's returns with those of ours where the two differ by rounding alone."""
    if len(net) != len(other):
        return list(other)  # which `scored` refuses
    return [mine if abs(mine - theirs) <= RETURN_TIE else theirs for mine, theirs in zip(net, other, strict=True)]


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

    Raises
    ------
    CorruptArtifactError
        If the last sequence is not one of scored tries.
    """
    sequence, earlier = _last_sequence(history)
    verdict = _unscored(attempt, comparisons)
    if verdict is None and len(earlier) == TRIES:
        sequence, earlier = sequence + 1, []
    if earlier:
        draws, seed = earlier[0].draws, earlier[0].seed
    against: dict[str, dict[str, Any]]
    if verdict is None:
        against = _against(attempt, comparisons, earlier, draws, seed)
        verdict = PROVEN if all(each["z"] > each["threshold"] for each in against.values()) else NOT_PROVEN
        position = len(earlier) + 1
    else:
        spent = {name: earlier[-1].against[name]["spent"] if earlier else 0.0 for name in BASELINES}
        against = {
            name: {**comparisons[name], "correlations": [], "threshold": None, "spent": spent[name]}
            for name in BASELINES
        }
        position = len(earlier)
    count, seal = seal_of(list(history))
    return Entry(
        number=count + 1,
        previous_sha256=seal,
        ledger=ledger,
        sequence=sequence,
        position=position,
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
        verdict=verdict,
    )


def _last_sequence(history: Sequence[Entry]) -> tuple[int, list[Entry]]:
    """Return the number of the last sequence, and its scored tries."""
    number = history[-1].sequence if history else 1
    scored_tries = [entry for entry in history if entry.sequence == number and entry.verdict in SCORED]
    for position, entry in enumerate(scored_tries, 1):
        if any(len(entry.against[name]["correlations"]) != position for name in BASELINES):
            raise CorruptArtifactError(
                f"Try {entry.number} is not number {position} of the scored tries of its sequence.",
                todo="use a new data folder; another version of this package has written this one.",
                source=entry.ledger,
            )
    return number, scored_tries


def _unscored(attempt: Try, comparisons: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return why a try cannot be proven, before any threshold, or None if it can."""
    if attempt.failure is not None:
        return FAILED
    return TIE if any(not any(comparison["stream"]) for comparison in comparisons.values()) else None


def _against(
    attempt: Try,
    comparisons: Mapping[str, Mapping[str, Any]],
    earlier: Sequence[Entry],
    draws: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Return what a scored try has against every baseline, its threshold and the error spent with it among it."""
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
    return {
        name: {**comparisons[name], "correlations": row[name], "threshold": threshold, "spent": share}
        for name, threshold, share in zip(BASELINES, thresholds, spent, strict=True)
    }


def _numbers(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values]
