"""What rests on the logs and lies outside them, so that a log whose end was cut is noticed.

A log without its last links, and with the head of that time, is a valid log: nothing in it tells that there was more.
What was made from it does. A stored report has its try in the ledger; so has every verdict on a report or a stream; and
the stored values of `promoted_policies` and `promotion_history` name the links that there were. Whoever removes all of
these as well, and the summaries that count the tries, leaves nothing to notice; only a copy of both ``head.json``
elsewhere tells then. The two assets name no fewer links when they are made anew (`check_named`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.registry.chain import WITHOUT_BACKUP, Link
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.partitions import stored_partitions
from allocator_pipeline.registry.promotion import try_of_report

NAMING_LINKS = ("promoted_policies", "promotion_history")
"""Assets whose stored values name verdicts and tries one by one."""


def anchors(court: Court, assets: Path) -> Iterator[tuple[str, str, str]]:
    """Look for the link of everything that is stored about an allocator and rests on one.

    Parameters
    ----------
    court : Court
    assets : Path
        Folder of the market's asset partitions.

    Yields
    ------
    tuple of (str, str, str)
        What, name, and which link is missing; empty if none is.

    Raises
    ------
    CorruptArtifactError
        If a log is not what was written, or a partition does not verify.
    """
    name = court.log.allocator
    # In this order: who works at the same time writes a try before its verdict, and that before what rests on it.
    stored = {asset: stored_partitions(assets, asset, key) for asset, key in _resting(name).items()}
    history = court.log.history()
    tries = court.ledger.history()
    identities, seals = {entry.identity for entry in tries}, {entry.sha256 for entry in tries}
    for verdict in history:
        named = verdict.evidence.get("inputs", {}).get("entry")
        missing = named is not None and named not in seals
        yield "verdict", str(verdict.number), "it rests on a try that the ledger does not hold" if missing else ""
    for key, report in stored["eval_reports"].items():
        yield "report", key.replace("|", " "), _counted(court, report, identities)
    for asset in NAMING_LINKS:
        for key, value in stored[asset].items():
            yield asset, key, _lacking(value, history, tries)
    for key, value in stored["evaluation_summary"].items():
        count = value["tries"]["count"]
        few = f"it was made after {count} tries, and the ledger holds {len(tries)}" if count > len(tries) else ""
        yield "evaluation_summary", key, few


def _resting(allocator: str) -> dict[str, str]:
    """Return the assets that rest on an allocator's links, and whose partitions of them do."""
    return {
        "eval_reports": allocator,
        **dict.fromkeys(NAMING_LINKS, allocator),
        "evaluation_summary": "all",
    }


def check_anchors(court: Court, assets: Path) -> None:
    """Raise a CorruptArtifactError that names the first thing whose link is missing; see `anchors`."""
    for what, name, missing in anchors(court, assets):
        _check(court, what, name, missing)


def check_named(court: Court, assets: Path, asset: str) -> None:
    """Refuse to make `promoted_policies` or `promotion_history` anew where what is stored names a link that is gone.

    The new value would take the place of all that tells. A stored value that cannot be read tells nothing.

    Parameters
    ----------
    court : Court
    assets : Path
        Folder of the market's asset partitions.
    asset : str
        One of `NAMING_LINKS`.

    Raises
    ------
    CorruptArtifactError
        If the logs lack a link that it names, or are not what was written.
    """
    try:
        stored = stored_partitions(assets, asset, court.log.allocator)  # before the logs, which may grow meanwhile
    except CorruptArtifactError:
        return
    history, tries = court.log.history(), court.ledger.history()
    for key, value in stored.items():
        _check(court, asset, key, _lacking(value, history, tries))


def _check(court: Court, what: str, name: str, missing: str) -> None:
    if missing:
        raise CorruptArtifactError(
            f"The {what} {name} of {court.log.allocator} is stored, but {missing}.",
            todo=f"restore the log from a backup that holds it; {WITHOUT_BACKUP}. A report without a try is counted "
            "when it is made again.",
            source=str(court.log.folder.parent),
        )


def _lacking(value: Mapping[str, Any], history: Sequence[Link], tries: Sequence[Link]) -> str:
    """Return which verdict or try that a value of `NAMING_LINKS` names the logs lack; empty if they have all."""
    verdicts = [*value.get("verdicts", []), *value.get("cases", [])]
    return _beginning(verdicts, history, "verdict") or _beginning(value.get("tries", []), tries, "try")


def _counted(court: Court, report: Mapping[str, Any], identities: set[str]) -> str:
    try:
        attempt = try_of_report(court, report)
    except AllocatorError as error:
        return f"its try cannot be looked for: {error.problem}"
    return "" if attempt.identity in identities else "the ledger holds no try of it"


def _beginning(named: Sequence[Mapping[str, Any]], links: Sequence[Link], what: str) -> str:
    """Return which of some links, told by number and fields or seal, are not those of a log; empty if all are."""
    for told in named:
        number = told["number"]
        if number > len(links):
            return f"it names {what} {number}, and the log ends with number {len(links)}"
        link = links[number - 1]
        same = told["sha256"] == link.sha256 if "sha256" in told else told == asdict(link)
        if not same:
            return f"{what} {number} of the log is not the one that it names"
    return ""
