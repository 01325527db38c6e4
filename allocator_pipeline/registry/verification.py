"""Every sha256, seal and log of an allocator read and checked, what rests on the logs looked up in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pandas as pd

from allocator_pipeline.config import ANCHOR
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.registry.anchors import anchors
from allocator_pipeline.registry.catalogue import VERIFIED
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.pruning import prune_log
from allocator_pipeline.registry.replay import ELSEWHERE

COLUMNS = ["allocator", "what", "name", "result"]


def verification(court: Court, needed: Collection[str], assets: Path) -> pd.DataFrame:
    """Read everything that is stored about an allocator.

    Parameters
    ----------
    court : Court
    needed : collection of str
        Versions that decisions and stored partitions name.
    assets : Path
        Folder of the market's asset partitions.

    Returns
    -------
    DataFrame
        ``allocator``, ``what``, ``name`` and ``result``: "verified", or what is wrong. A version that was champion or
        is needed and is absent is a row too, and so is every stored report, which needs its try.
    """
    rows = [[court.log.allocator, *row] for row in _checks(court, needed, assets)]
    return pd.DataFrame(rows, columns=COLUMNS)


def verified(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table, or raise a CorruptArtifactError that names the first thing wrong in it."""
    wrong = table[table["result"] != VERIFIED]
    if len(wrong):
        first = wrong.iloc[0]
        raise CorruptArtifactError(
            f"{len(wrong)} of {len(table)} things stored do not verify; first {first['what']} {first['name']} of "
            f"{first['allocator']}: {first['result']}",
            todo="restore them from a backup, train the version again, or roll back to one that verifies.",
        )
    return table


def _checks(court: Court, needed: Collection[str], assets: Path) -> Iterator[tuple[str, str, str]]:
    name = court.log.allocator
    logs: dict[str, Callable[[], object]] = {
        "verdicts": court.log.history,
        "tries": court.ledger.history,
        "prunings": prune_log(court).history,
    }
    results = {what: _result(read) for what, read in logs.items()}
    yield from (("log", what, result) for what, result in results.items())
    history = court.log.history() if results["verdicts"] == VERIFIED else []
    champions = {verdict.champion for verdict in history}
    for version in sorted({*court.artifacts.versions(name), *champions, *needed} - {ANCHOR}):
        yield "version", version, _result(court.artifacts.load, name, version)
    inputs = [verdict.evidence.get("inputs", {}).items() for verdict in history]
    for digest in sorted({digest for each in inputs for what, digest in each if what not in ELSEWHERE}):
        yield "input", digest[:12], _result(court.inputs.read, digest)
    if results["verdicts"] == results["tries"] == VERIFIED:
        yield from (("report", key, missing or VERIFIED) for key, missing in anchors(court, assets))


def _result(read: Callable[..., object], *names: str) -> str:
    try:
        read(*names)
    except AllocatorError as error:
        return error.problem
    return VERIFIED
