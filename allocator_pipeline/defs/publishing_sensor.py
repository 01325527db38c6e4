"""The sensor that has new versions and new champions published."""

import json
from collections.abc import Sequence

import dagster as dg

from allocator_pipeline.defs.publishing import NOT_PUBLISHED
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.hub.settings import HubSettings

PUBLISHED_FROM = ("trained_policies", "finetuned_policies", "promoted_policies")
BATCH = 200


@dg.sensor(
    job_name="publish_job",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sees trained, fine-tuned and promoted versions and requests their upload, once for each allocator. "
    "With STORAGE_BACKEND=local it skips.",
)
def publishing_sensor(context: dg.SensorEvaluationContext):
    """Ask for an upload where something is new."""
    try:
        shared = HubSettings.from_env().shared
    except ConfigurationError as error:
        return dg.SkipReason(str(error))
    if not shared:
        return dg.SkipReason(NOT_PUBLISHED)
    requests, cursor = publishing_requests(context.instance, context.cursor)
    context.update_cursor(cursor)
    return requests or dg.SkipReason("No new version or champion.")


def publishing_requests(instance: dg.DagsterInstance, cursor: str | None) -> tuple[Sequence[dg.RunRequest], str]:
    """Return a run request for each allocator with something new, and the cursor behind what was seen.

    Parameters
    ----------
    instance : DagsterInstance
    cursor : str or None
        JSON of the last storage id seen of each asset; without one everything is new, and what is on the Hub already
        makes no new commit.

    Returns
    -------
    tuple of (sequence of RunRequest, str)
        The run key names the newest materialisation, so that a replayed tick asks for nothing new.
    """
    after: dict[str, int] = {**dict.fromkeys(PUBLISHED_FROM, 0), **(json.loads(cursor) if cursor else {})}
    newest: dict[str, int] = {}
    for asset in PUBLISHED_FROM:
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_storage_id=after[asset]),
            limit=BATCH,
            ascending=True,
        ).records
        for record in records:
            allocator = str(record.partition_key).split("|")[0]
            newest[allocator] = max(newest.get(allocator, 0), record.storage_id)
            after[asset] = max(after[asset], record.storage_id)
    requests = [
        dg.RunRequest(run_key=f"publish-{allocator}-{storage_id}", partition_key=allocator)
        for allocator, storage_id in sorted(newest.items())
    ]
    return requests, json.dumps(after, sort_keys=True)
