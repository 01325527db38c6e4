"""``make verdicts`` and ``replay_verdicts_job``: every verdict made again from what it was made from."""

import sys
from collections.abc import Sequence
from functools import partial

import dagster as dg
import pandas as pd

from allocator_pipeline.config import ALLOCATORS, CostConfig, Settings, forecaster_of
from allocator_pipeline.defs.inputs import states_of_years
from allocator_pipeline.defs.metadata import markdown
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import AllocatorError, CorruptArtifactError
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.registry.anchors import check_anchors
from allocator_pipeline.registry.replay import DIFFERS, replay

COLUMNS = ["allocator", "number", "source", "result", "why"]


def replayed(store: StoreResource, costs: CostConfig) -> pd.DataFrame:
    """Make every verdict on every allocator again.

    Parameters
    ----------
    store : StoreResource
    costs : CostConfig
        Of the data folder.

    Returns
    -------
    DataFrame
        ``allocator``, ``number``, ``source``, ``result`` ("same", "differs", "inputs absent", "walk not remade" or "of
        another version") and ``why``.

    Raises
    ------
    CorruptArtifactError
        If a log or the ledger is not what was written.
    """
    rows = [
        [allocator, finding.number, finding.source.replace("|", " "), finding.status, finding.why]
        for allocator in ALLOCATORS
        for finding in replay(store.court(allocator), partial(_stored_states, store, allocator), costs)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _stored_states(store: StoreResource, allocator: str, weeks: Sequence[str]) -> StateTensors:
    years = range(pd.Timestamp(weeks[0]).year, pd.Timestamp(weeks[-1]).year + 1)
    keys = [f"{forecaster_of(allocator)}|{year}" for year in years]
    return states_of_years(Partitioned(store.assets, "state_tensors", keys), allocator, years)


def verify(store: StoreResource, costs: CostConfig) -> pd.DataFrame:
    """Return `replayed`, or raise a CorruptArtifactError that names the first verdict that differs.

    It is raised as well where a log was cut (`registry.witnesses`) or a report's try is gone (`registry.anchors`).
    """
    table = replayed(store, costs)
    differing = table[table["result"] == DIFFERS]
    if len(differing):
        first = differing.iloc[0]
        raise CorruptArtifactError(
            f"{len(differing)} of {len(table)} verdicts are not what their inputs lead to; number {first['number']} on "
            f"{first['allocator']}: {first['why']}.",
            todo="find out what has changed: the verdict, what it was made from, or the code that makes it; if it is "
            "one of the first two, restore the registry folder from a backup.",
            source=str(store.root),
        )
    for allocator in ALLOCATORS:
        check_anchors(store.court(allocator), store.assets.root)
    return table


@dg.op(description="Makes every verdict again from stored inputs, rule and seeds; fails if one differs.")
def replay_verdicts(context: dg.OpExecutionContext, market: MarketResource, store: StoreResource) -> None:
    """Replay the verdicts and show what became of each."""
    table = verify(store, market.settings.costs)
    context.add_output_metadata({"verdicts": len(table), "results": markdown(table)})
    for result, count in table["result"].value_counts().items():
        context.log.info(f"{count} verdicts: {result}")


@dg.job(
    description="Replay every verdict of every allocator: the same again, different, inputs absent, walk not remade, "
    "or made by another version, so that it cannot be compared in full."
)
def replay_verdicts_job():
    """Replay the verdicts on demand."""
    replay_verdicts()


def main() -> int:
    """Print what became of every verdict.

    Returns
    -------
    int
        Exit status: 1 if a verdict differs, a log is damaged, or what rests on it is stored without its link.
    """
    try:
        settings = Settings.from_env()
        table = verify(StoreResource(root=str(settings.market_dir.absolute())), settings.costs)
    except AllocatorError as error:
        print(error, file=sys.stderr)
        return 1
    print(table.to_string(index=False) if len(table) else "There is no verdict yet.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
