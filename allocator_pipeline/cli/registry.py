"""The registry from the terminal: list, show, diff, promote, roll-back, prune and verify.

It reads the same ``ALLOCATOR_*`` variables as everything else and works on that market's folder. A command that finds
something wrong, or cannot do what it was asked, says so on standard error and exits with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from allocator_pipeline.cli.needed import needed_versions
from allocator_pipeline.config import ALLOCATORS, Settings
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.registry import orders
from allocator_pipeline.registry.catalogue import description, differences, fields_of, listed
from allocator_pipeline.registry.court import Court, open_court
from allocator_pipeline.registry.pruning import KEEP, plan, prune
from allocator_pipeline.registry.record import case
from allocator_pipeline.registry.verification import verification, verified

ORDERS = {"promote": orders.promote, "roll-back": orders.rollback}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and print what came of it.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line by default.

    Returns
    -------
    int
        Exit status: 0, or 1 after an error.
    """
    asked = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env()
        opened = partial(open_court, settings.market_dir, gate=settings.gate)
        print(asked.run(asked, opened, settings.market_dir))
    except AllocatorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _list(asked: argparse.Namespace, opened: partial[Court], market_dir: Path) -> str:
    found, wrong = listed(map(opened, _allocators(asked)))
    text = "\n\n".join(f"{name}\n{_text(table)}" for name, table in found.items())
    if wrong:
        print(text)
        raise CorruptArtifactError(
            " ".join(f"{name} cannot be listed: {error.problem}" for name, error in wrong.items()),
            todo=" ".join(dict.fromkeys(error.todo for error in wrong.values())),
            source=", ".join(str(error.source) for error in wrong.values()),
        )
    return text


def _show(asked: argparse.Namespace, opened: partial[Court], market_dir: Path) -> str:
    return _text(fields_of(description(opened(asked.allocator), asked.version)))


def _diff(asked: argparse.Namespace, opened: partial[Court], market_dir: Path) -> str:
    return _text(differences(opened(asked.allocator), asked.version, asked.other))


def _order(asked: argparse.Namespace, opened: partial[Court], market_dir: Path) -> str:
    verdict = ORDERS[asked.command](opened(asked.allocator), asked.version, asked.week, asked.reason)
    return f"{case(verdict)}\n\nMaterialise promoted_policies and promotion_history to see it in the UI."


def _prune(asked: argparse.Namespace, opened: partial[Court], market_dir: Path) -> str:
    court, needed = opened(asked.allocator), partial(needed_versions, market_dir, asked.allocator)
    if asked.apply:
        entry = prune(court, needed, asked.keep)
        return (
            f"Removed, and recorded as number {entry.number}:\n{_rows(entry.versions)}"
            if entry
            else "Nothing to remove."
        )
    planned = plan(court, needed(), asked.keep)
    kept = pd.DataFrame(sorted(planned.keep.items()), columns=["version", "stays, because"])
    return f"{_text(kept)}\n\nTo be removed with --apply:\n{_rows(planned.remove)}"


def _verify(asked: argparse.Namespace, opened: partial[Court], market_dir: Path) -> str:
    tables = [
        verification(opened(name), needed_versions(market_dir, name), market_dir / "assets")
        for name in _allocators(asked)
    ]
    return _text(verified(pd.concat(tables, ignore_index=True)))


def _allocators(asked: argparse.Namespace) -> Sequence[str]:
    return [asked.allocator] if asked.allocator else ALLOCATORS


def _rows(rows: Sequence[object]) -> str:
    return _text(pd.DataFrame(rows))


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False) if len(table) else "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m allocator_pipeline.cli", description="The registry of a market.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: object, told: str, *, every: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=told, description=told)
        added.set_defaults(run=run)
        added.add_argument("allocator", choices=ALLOCATORS, nargs="?" if every else None)
        return added

    command("list", _list, "stored versions and what became of them", every=True)
    command("show", _show, "everything known of one version").add_argument("version")
    compared = command("diff", _diff, "the fields in which two versions differ")
    compared.add_argument("version")
    compared.add_argument("other")
    for name, told in {
        "promote": "make a version champion by hand, subject to the gate",
        "roll-back": "make a former champion champion again",
    }.items():
        ordered = command(name, _order, told)
        ordered.add_argument("version")
        ordered.add_argument("--week", required=True, help="Monday from which it serves, YYYY-MM-DD")
        ordered.add_argument("--reason", required=True, help="goes into the record")
    pruned = command("prune", _prune, "remove old versions that nothing needs; shows what it would do")
    pruned.add_argument("--keep", type=int, default=KEEP, help=f"newest versions that stay (default {KEEP})")
    pruned.add_argument("--apply", action="store_true", help="remove them")
    command("verify", _verify, "read every sha256, seal and log, and what rests on the logs", every=True)
    return parser
