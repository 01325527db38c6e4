"""The result of an asset check out of the problems of partitions: which it is about, and how many are listed."""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg
import pandas as pd
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from allocator_pipeline.defs.metadata import markdown
from allocator_pipeline.defs.storage import AssetStore

LISTED = 50
"""So many problems are listed in the result of a check; all are counted."""


def check_result(
    context: dg.AssetCheckExecutionContext,
    store: AssetStore,
    asset: str,
    partitions_def: dg.PartitionsDefinition,
    problems: Callable[[str], list[str]],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return the result of a check that finds problems partition by partition.

    It judges the partitions of the run. A warning is about everything that is stored, those of the run first: Dagster
    shows the last result of a check, and a run of one year must not take back what is said about another. (A check
    with partitions of its own has a result by partition in runs of one, and one without partition in runs of several.)
    """
    run, stored = _keys(context.run.tags, partitions_def), store.keys(asset)
    if run is None:  # a check executed by itself
        checked = stored
    elif severity == dg.AssetCheckSeverity.WARN:
        checked = [*run, *(key for key in stored if key not in run)]
    else:
        checked = list(run)
    by_key = {key: problems(key) for key in checked}
    found = [f"{key}: {problem}" for key, told in by_key.items() for problem in told]
    listed = [f"- {line}" for line in found[:LISTED]]
    if len(found) > LISTED:
        listed.append(f"- and {len(found) - LISTED:,} more; a run of fewer partitions lists its own first")
    counts = [(key, len(told)) for key, told in by_key.items()]
    return dg.AssetCheckResult(
        passed=not found,
        severity=severity,
        description=" ".join(found[:3]) + (f" And {len(found) - 3:,} more." if len(found) > 3 else "") or None,
        metadata={
            "problems": dg.MetadataValue.md("\n".join(listed) or "none"),
            "found": len(found),
            "by_partition": markdown(pd.DataFrame(counts[:LISTED], columns=["partition", "found"])),
            "partitions": ", ".join(checked) if len(checked) <= LISTED else f"{min(checked)} to {max(checked)}",
        },
    )


def _keys(tags: Mapping[str, str], partitions_def: dg.PartitionsDefinition) -> Sequence[str] | None:
    """Return the partitions of a run, or None without any; Dagster stores one result of a check a run."""
    if ASSET_PARTITION_RANGE_START_TAG in tags:
        span = dg.PartitionKeyRange(tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG])
        return partitions_def.get_partition_keys_in_range(span)
    return [tags[PARTITION_NAME_TAG]] if PARTITION_NAME_TAG in tags else None
