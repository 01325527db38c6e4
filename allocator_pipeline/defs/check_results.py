"""The result of an asset check out of the problems of partitions: which it is about, and how many are listed."""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg
import pandas as pd
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from allocator_pipeline.defs.metadata import markdown
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.errors import AllocatorError

LISTED = 50
"""So many problems are listed in the result of a check; all are counted."""

REMEMBERED = 25
"""So many results of a check are asked for partitions that failed: several runs may have ended side by side."""

FAILING = "failing"
"""Name under which a result lists its partitions with problems."""


def check_result(
    context: dg.AssetCheckExecutionContext,
    store: AssetStore,
    asset: str,
    partitions_def: dg.PartitionsDefinition,
    problems: Callable[[str], list[str]],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return the result of a check that finds problems partition by partition.

    It judges the partitions of the run, and after them others that are stored: Dagster shows the last result of a
    check, and a run of one year must not take back what is said about another. A warning is about all of them; a check
    for errors looks again at those that failed before, and only warns of these, so that they block nothing else. (A
    check with partitions of its own has a result by partition in runs of one, and one without in runs of several.)

    Parameters
    ----------
    context : AssetCheckExecutionContext
        Of a check that is executed alone in its step.
    store : AssetStore
        Holds the partitions.
    asset : str
    partitions_def : PartitionsDefinition
        Of the asset.
    problems : callable
        Partition key -> what is wrong with it, in words. A typed error that it raises is a problem too.
    severity : AssetCheckSeverity, optional
        Of problems in the partitions of the run.
    """
    run, stored = _keys(context.run.tags, partitions_def), store.keys(asset)
    if run is None:  # a check executed by itself
        run, others = stored, []
    else:
        again = stored if severity == dg.AssetCheckSeverity.WARN else _failed_before(context)
        others = [key for key in stored if key in again and key not in run]
    checked = [*run, *others]
    by_key = {key: _told(problems, key) for key in checked}
    found = [f"{key}: {problem}" for key, told in by_key.items() for problem in told]
    if found and not any(by_key[key] for key in run):
        severity = dg.AssetCheckSeverity.WARN
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
            FAILING: dg.MetadataValue.json([key for key, told in by_key.items() if told]),
            "partitions": ", ".join(checked) if len(checked) <= LISTED else f"{min(checked)} to {max(checked)}",
        },
    )


def _told(problems: Callable[[str], list[str]], key: str) -> list[str]:
    try:
        return problems(key)
    except AllocatorError as error:
        return [str(error)]


def _failed_before(context: dg.AssetCheckExecutionContext) -> set[str]:
    """Return the partitions that the latest results of the check name as failing."""
    (key,) = context.selected_asset_check_keys
    history = context.instance.event_log_storage.get_asset_check_execution_history
    named: set[str] = set()
    for record in history(key, limit=REMEMBERED, status={AssetCheckExecutionRecordStatus.FAILED}):
        listed = record.evaluation.metadata.get(FAILING) if record.evaluation is not None else None
        named.update(listed.value if listed is not None else ())  # an earlier version named none
    return named


def _keys(tags: Mapping[str, str], partitions_def: dg.PartitionsDefinition) -> Sequence[str] | None:
    """Return the partitions of a run, or None without any; Dagster stores one result of a check a run."""
    if ASSET_PARTITION_RANGE_START_TAG in tags:
        span = dg.PartitionKeyRange(tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG])
        return partitions_def.get_partition_keys_in_range(span)
    return [tags[PARTITION_NAME_TAG]] if PARTITION_NAME_TAG in tags else None
