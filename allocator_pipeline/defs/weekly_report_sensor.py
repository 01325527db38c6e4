"""The sensor that has a week's report made once all its allocators have decided, or will not."""

import json
from collections.abc import Callable, Collection
from functools import cache

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.defs.damage import Damage
from allocator_pipeline.defs.open_steps import WEEKLY_TAG, allocators_of
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.experience.records import run_id
from allocator_pipeline.registry.verdicts import Verdict, latest_by

BATCH = 200


@dg.sensor(
    job_name="weekly_report_job",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sees Monday's decisions end and requests the week's report and the export of experience: once when "
    "all allocators that have a champion are through, and again if one decides later.",
)
def weekly_report_sensor(context: dg.SensorEvaluationContext, store: StoreResource):
    """Ask for the reports of weeks that are decided."""
    damage = Damage(context.log.error)
    requests, cursor = weekly_report_requests(context.instance, context.cursor, store, damage)
    context.update_cursor(cursor)
    return requests or damage.skip("No week has been decided since.")


def weekly_report_requests(
    instance: dg.DagsterInstance, cursor: str | None, store: StoreResource, damage: Damage | None = None
) -> tuple[list[dg.RunRequest], str]:
    """Return a run request for each scheduled week whose decisions have ended, and the cursor.

    Parameters
    ----------
    instance : DagsterInstance
    cursor : str or None
        JSON of the run keys asked for of late.
    store : StoreResource
        Tells which allocators have a champion, and which have decided.
    damage : Damage, optional
        Told of allocators whose log is damaged; the report does not wait for these.

    Returns
    -------
    tuple of (list of RunRequest, str)
        The run key names the week and who has decided it, so that a replayed tick asks for nothing new.
    """
    recent = instance.get_runs(dg.RunsFilter(job_name="inference_job"), limit=BATCH)
    weeks: dict[str, list[dg.DagsterRun]] = {}
    for run in recent:
        if WEEKLY_TAG in run.tags:
            weeks.setdefault(run.tags[WEEKLY_TAG], []).append(run)
    asked = set(json.loads(cursor)) if cursor else set()
    recorded, told = store.experience.run_ids(), damage or Damage()
    none: list[Verdict] = []
    history = cache(lambda name: told.ask(name, store.verdicts(name).history, none))
    requests, keys = [], []
    for week, runs in sorted(weeks.items()):
        decided = _decided(week, runs, recorded, history)
        if decided:
            keys.append(f"weekly_report-{week}-{'+'.join(decided)}")
            if keys[-1] not in asked:
                requests.append(dg.RunRequest(run_key=keys[-1], partition_key=week, tags={WEEKLY_TAG: week}))
    return requests, json.dumps(keys)


def _decided(
    week: str, runs: list[dg.DagsterRun], recorded: Collection[str], history: Callable[[str], list[Verdict]]
) -> list[str]:
    """Return who has decided a week, or nobody while a run or a repetition of one is still to end."""
    if any(not run.is_finished or _to_be_repeated(run, runs) for run in runs):
        return []
    ran = {name for run in runs for name in allocators_of(run.tags)}
    decided = [name for name in ALLOCATORS if run_id(week, name) in recorded]
    waiting = [
        name
        for name in ALLOCATORS
        if name not in ran and name not in decided and latest_by(history(name), week) is not None
    ]
    return [] if waiting else decided


def _to_be_repeated(run: dg.DagsterRun, runs: list[dg.DagsterRun]) -> bool:
    return run.tags.get(WILL_RETRY_TAG) == "true" and all(other.parent_run_id != run.run_id for other in runs)
