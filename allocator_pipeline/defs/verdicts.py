"""``make verdicts`` and ``replay_verdicts_job``: every verdict made again from what it was made from."""

import sys

import dagster as dg
import pandas as pd

from allocator_pipeline.config import ALLOCATORS, Settings
from allocator_pipeline.defs.metadata import markdown
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.registry.replay import DIFFERS, replay

COLUMNS = ["allocator", "number", "source", "result", "why"]


def replayed(store: StoreResource) -> pd.DataFrame:
    """Make every verdict on every allocator again.

    Returns
    -------
    DataFrame
        ``allocator``, ``number``, ``source``, ``result`` ("same", "differs" or "inputs absent") and ``why``.

    Raises
    ------
    CorruptArtifactError
        If a log or the ledger is not what was written.
    """
    rows = [
        [allocator, finding.number, finding.source.replace("|", " "), finding.status, finding.why]
        for allocator in ALLOCATORS
        for finding in replay(store.court(allocator))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def verify(store: StoreResource) -> pd.DataFrame:
    """Return `replayed`, or raise a CorruptArtifactError that names the first verdict that differs."""
    table = replayed(store)
    differing = table[table["result"] == DIFFERS]
    if len(differing):
        first = differing.iloc[0]
        raise CorruptArtifactError(
            f"{len(differing)} of {len(table)} verdicts are not what their inputs lead to; number {first['number']} on "
            f"{first['allocator']}: {first['why']}.",
            todo="restore the registry folder from a backup, or find out who has edited it.",
            source=str(store.root),
        )
    return table


@dg.op(description="Makes every verdict again from stored inputs, rule and seeds; fails if one differs.")
def replay_verdicts(context: dg.OpExecutionContext, store: StoreResource) -> None:
    """Replay the verdicts and show what became of each."""
    table = verify(store)
    context.add_output_metadata({"verdicts": len(table), "results": markdown(table)})
    for result, count in table["result"].value_counts().items():
        context.log.info(f"{count} verdicts: {result}")


@dg.job(description="Replay every verdict of every allocator: the same again, different, or its inputs absent.")
def replay_verdicts_job():
    """Replay the verdicts on demand."""
    replay_verdicts()


def main() -> int:
    """Print what became of every verdict.

    Returns
    -------
    int
        Exit status: 1 if a verdict differs or a log is damaged.
    """
    try:
        settings = Settings.from_env()
        table = verify(StoreResource(root=str(settings.market_dir.absolute())))
    except AllocatorError as error:
        print(error, file=sys.stderr)
        return 1
    print(table.to_string(index=False) if len(table) else "There is no verdict yet.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
