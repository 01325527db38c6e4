"""Sensors: promotion when something was judged, and the stages that follow one another within a week."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG, PARTITION_NAME_TAG

from allocator_pipeline.config import BASELINES, FORECASTERS, OPPONENTS
from allocator_pipeline.defs.damage import Damage
from allocator_pipeline.defs.open_steps import JUDGED_TAG, before_promotion
from allocator_pipeline.defs.partitions import Partitions, range_tags, split
from allocator_pipeline.defs.promotion import pending_reports
from allocator_pipeline.defs.publishing_sensor import publishing_sensor
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.schedules import REFRESH_TAG, has_closed
from allocator_pipeline.defs.weekly_report_sensor import weekly_report_sensor
from allocator_pipeline.defs.weekly_sensor import weekly_sensor
from allocator_pipeline.market import calendar

WATCHED = ("eval_reports", "paper_evaluations")
WAITING = "waiting"
"""Field of the promotion sensor's cursor: what asks for a promotion that is to come later."""
BATCH = 200
FEATURES_TAG = "allocator/features_run"
"""Run id of the features whose year a run refreshes: those that carry the same one are read by one panel."""


def sensors(jobs: Sequence[Any], partitions: Partitions) -> list[dg.SensorDefinition]:
    """Return the sensors; they request runs of the jobs given."""
    judged = (*FORECASTERS, *OPPONENTS, *partitions.external)

    @dg.sensor(
        job_name="promotion_job",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sees new evaluation reports and paper evaluations and requests the promotion run, once for each. "
        "The promotions of a Sunday come one after the other, in an order that nothing changes. What an allocator that "
        "is damaged has to judge waits until it is mended; it is named, and the others go on.",
    )
    def promotion_sensor(context: dg.SensorEvaluationContext, store: StoreResource):
        now, waiting, damage = calendar.now(), list[str](), Damage(context.log.error)

        def must_wait(allocator: str, week: str) -> bool:
            if partitions.static:
                return False
            before = before_promotion(allocator, week, context.instance, store, now, damage)
            if before is not None:
                waiting.append(f"{allocator} {week} waits for {before.job} of {before.allocator} {before.week}.")
            return before is not None

        requests, cursor = promotion_requests(context.instance, context.cursor, store, must_wait, damage)
        context.update_cursor(cursor)
        return requests or damage.skip(" ".join(waiting) or "No new report or paper evaluation.")

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=15,
        request_jobs=list(jobs),
        description="Carries a refresh on: market, then features, then forecasts, states and baselines, then the "
        "forecast panel of that year and its summary; and a report judged to its allocator's summary, then the "
        "comparison.",
    )
    def next_stage(context: dg.RunStatusSensorContext):
        run = context.dagster_run
        requests = [
            *following(run.job_name, run.tags, run.run_id),
            *panel_requests(context.instance, run.tags, judged),
        ]
        return requests or dg.SkipReason("Nothing follows this run.")

    return [promotion_sensor, next_stage, weekly_sensor(jobs, partitions), publishing_sensor, weekly_report_sensor]


def promotion_requests(
    instance: dg.DagsterInstance,
    cursor: str | None,
    store: StoreResource,
    must_wait: Callable[[str, str], bool] = lambda allocator, week: False,
    damage: Damage | None = None,
) -> tuple[list[dg.RunRequest], str]:
    """Return a run request for each allocator with something new to judge, and the cursor behind what was seen.

    Parameters
    ----------
    instance : DagsterInstance
    cursor : str or None
        JSON of the last storage id seen of each watched asset, and of what waits; without one everything is looked at
        again, and what has its verdict asks for nothing.
    store : StoreResource
        Tells which reports have their verdict already; they ask for nothing.
    must_wait : callable
        Whether the promotion that a paper evaluation of an allocator and week asks for is to come later; it is then
        looked at again in the next tick.
    damage : Damage, optional
        Told of allocators that are damaged; whatever asks for their promotion waits.

    Returns
    -------
    tuple of (list of RunRequest, str)
        One request an allocator, whose run judges all that waits, oldest first. Its run key names the newest
        materialisation, so that a replayed tick asks for nothing new.
    """
    damage, last = damage or Damage(), json.loads(cursor) if cursor else {}
    after: dict[str, int] = {asset: last.get(asset, 0) for asset in WATCHED}
    seen = [tuple(record) for record in last.get(WAITING, [])]
    seen += [
        (record.storage_id, asset, str(record.partition_key), record.run_id)
        for asset in WATCHED
        for record in instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_storage_id=after[asset]),
            limit=BATCH,
            ascending=True,
        ).records
    ]
    names = sorted({split(key)[0] for _, _, key, _ in seen})
    reports = {name: damage.ask(name, partial(_reports_to_judge, name, store), None) for name in names}
    judged = {name: _last_promotion(instance, name) for name in names}
    newest: dict[str, dict[str, tuple[int, str, str, str]]] = {}
    for record in sorted(seen):
        storage_id, asset, partition, _ = record
        after[asset] = max(after[asset], storage_id)
        allocator = split(partition)[0]
        to_judge = reports[allocator]
        if asset == "eval_reports" and to_judge is not None and partition not in to_judge:
            continue
        if asset == "paper_evaluations" and storage_id < judged[allocator]:
            continue
        newest.setdefault(allocator, {})[asset] = record
    requests, waiting = [], []
    for allocator, found in newest.items():
        paper = found.get("paper_evaluations")
        if reports[allocator] is None:
            waiting += [found.pop(asset) for asset in list(found)]
        elif paper is not None and damage.ask(allocator, partial(must_wait, *split(paper[2])), True):
            waiting.append(found.pop("paper_evaluations"))
        if found:
            _, asset, partition, run_id = max(found.values())
            requests.append(
                dg.RunRequest(
                    run_key=f"{asset}-{partition}-{run_id}",
                    partition_key=allocator,
                    tags={JUDGED_TAG: f"{asset} {partition}"},
                )
            )
    return requests, json.dumps({**after, **({WAITING: sorted(waiting)} if waiting else {})}, sort_keys=True)


def _reports_to_judge(allocator: str, store: StoreResource) -> set[str]:
    store.verdicts(allocator).history()  # a promotion would fail on a log that is damaged
    return set(pending_reports(allocator, store))


def _last_promotion(instance: dg.DagsterInstance, allocator: str) -> int:
    """Return the storage id of an allocator's last promotion, which read all papers before it; 0 if there is none."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("promoted_policies"), asset_partitions=[allocator]), limit=1
    ).records
    return records[0].storage_id if records else 0


def following(job: str, tags: Mapping[str, str], run_id: str) -> Iterator[dg.RunRequest]:
    """Yield the requests that follow a successful run of a weekly stage."""
    years = tags.get(REFRESH_TAG, "")
    if years and job == "market_job":
        later = [year for year in years.split(",") if year > tags["dagster/partition"]]
        later = [year for year in later if has_closed(year, calendar.now())]  # one that begins has weeks, not prices
        if later:
            yield _request("market_job", later[0], run_id=run_id, tags={REFRESH_TAG: years})
        else:  # all years are there: the last week of one exits in the next
            for year in years.split(","):
                yield _request("features_job", year, run_id=run_id, tags={REFRESH_TAG: year})
    if years and job == "features_job":
        for next_job, *keys in _read_by_panel(years):
            yield _request(next_job, *keys, run_id=run_id, tags={REFRESH_TAG: years, FEATURES_TAG: run_id})
    if years and job == "panel_job":
        yield _request("panel_summary_job", run_id=run_id, tags={})
    if job == "promotion_job" and tags.get(JUDGED_TAG, "").startswith("eval_reports"):
        yield _request("summary_job", tags["dagster/partition"], run_id=run_id, tags={})
    if job == "summary_job":
        yield _request("comparison_job", run_id=run_id, tags={})


def panel_requests(
    instance: dg.DagsterInstance, tags: Mapping[str, str], judged: Sequence[str]
) -> Iterator[dg.RunRequest]:
    """Yield the request for a refreshed year's panel of all forecasters, once all that it reads is refreshed.

    The key of the run names the refresh, so that of several runs that end together only one asks for it.
    """
    if FEATURES_TAG not in tags:
        return
    year, refresh = tags[REFRESH_TAG], tags[FEATURES_TAG]
    wanted = dg.RunsFilter(tags={FEATURES_TAG: refresh}, statuses=[dg.DagsterRunStatus.SUCCESS])
    done = {(run.job_name, _first_key(run.tags)) for run in instance.get_runs(wanted)}
    if done.issuperset((job, keys[0]) for job, *keys in _read_by_panel(year)):
        yield dg.RunRequest(
            job_name="panel_job",
            run_key=f"panel_job-{year}-{refresh}",
            tags={REFRESH_TAG: year, **range_tags(f"{judged[0]}|{year}", f"{judged[-1]}|{year}")},
        )


def _read_by_panel(year: str) -> list[tuple[str, ...]]:
    """Return the jobs that follow the features of a year, side by side, with their partition or first and last one."""
    return [
        *(("forecasts_job", f"{name}|{year}") for name in FORECASTERS),
        ("baselines_job", f"{BASELINES[0]}|{year}", f"{BASELINES[-1]}|{year}"),
        ("opponents_job", year),
    ]


def _first_key(tags: Mapping[str, str]) -> str | None:
    return tags.get(PARTITION_NAME_TAG) or tags.get(ASSET_PARTITION_RANGE_START_TAG)


def _request(job: str, *keys: str, run_id: str, tags: Mapping[str, str]) -> dg.RunRequest:
    """Return the request for a run over one partition, those from a first to a last one, or none."""
    return dg.RunRequest(
        job_name=job,
        run_key="-".join((job, *keys, run_id)),
        partition_key=keys[0] if len(keys) == 1 else None,
        tags={**tags, **(range_tags(*keys) if len(keys) == 2 else {})},
    )
