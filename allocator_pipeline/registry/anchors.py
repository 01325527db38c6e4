"""Reports whose try is not in the ledger: what `registry.witnesses` cannot tell, as it takes the candidate's artefact.

Every report is counted before it is stored. One that no verdict knows yet may be all that tells of a try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.registry.chain import WITHOUT_BACKUP
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.partitions import stored_partitions
from allocator_pipeline.registry.promotion import try_of_report


def anchors(court: Court, assets: Path) -> Iterator[tuple[str, str]]:
    """Look for the try of every stored report on an allocator.

    Parameters
    ----------
    court : Court
    assets : Path
        Folder of the market's asset partitions.

    Yields
    ------
    tuple of (str, str)
        Name of the report, and what is missing; empty if nothing is.

    Raises
    ------
    CorruptArtifactError
        If a log is not what was written or was cut, or a report does not verify.
    """
    stored = stored_partitions(assets, "eval_reports", court.log.allocator)  # first: a try comes before its report
    identities = {entry.identity for entry in court.tries()}
    for key, report in stored.items():
        yield key.replace("|", " "), _counted(court, report, identities)


def check_anchors(court: Court, assets: Path) -> None:
    """Raise a CorruptArtifactError that names the first report whose try is missing; see `anchors`."""
    for name, missing in anchors(court, assets):
        if missing:
            raise CorruptArtifactError(
                f"The report {name} of {court.log.allocator} is stored, but {missing}.",
                todo=f"restore the ledger of tries from a backup that holds it; {WITHOUT_BACKUP}. A report without a "
                "try is counted when it is made again.",
                source=str(court.ledger.folder),
            )


def _counted(court: Court, report: Mapping[str, Any], identities: set[str]) -> str:
    try:
        attempt = try_of_report(court, report)
    except AllocatorError as error:
        return f"its try cannot be looked for: {error.problem}"
    return "" if attempt.identity in identities else "the ledger holds no try of it"
