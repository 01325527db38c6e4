"""What a weekly report warns of: checks that did not pass, weeks left out, labels missing, stocks without news."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.features.signals import MIN_ARTICLES, NEWS_WINDOW
from allocator_pipeline.market import calendar

PASSED = "SUCCEEDED"
UNDER_WAY = "PLANNED"


def failed_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> list[str]:
    """Return the asset checks that did not pass when they last ran, in words; what never ran is not among them.

    Parameters
    ----------
    instance : DagsterInstance
    keys : sequence of AssetCheckKey
    """
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    lines = []
    for key, record in sorted(latest.items(), key=lambda item: item[0].to_user_string()):
        if record.status.value in (PASSED, UNDER_WAY):
            continue
        evaluation = record.evaluation
        kind = "warns" if evaluation is not None and evaluation.severity == dg.AssetCheckSeverity.WARN else "failed"
        why = f": {evaluation.description}" if evaluation is not None and evaluation.description else "."
        lines.append(f"The check {key.name} of {key.asset_key.to_user_string()} {kind}{why}")
    return lines


def data_warnings(
    week: str, known: str, contenders: Mapping[str, Mapping[str, Any]], store: StoreResource
) -> list[str]:
    """Return what is missing or thin in the data behind a week, in words.

    Parameters
    ----------
    week, known : str
        The report's week, and the newest whose outcome is known at its decision.
    contenders : mapping
        Allocator -> its week, see `weekly_report`.
    store : StoreResource
    """
    lines = list(_news(week, store))
    for name, contender in contenders.items():
        if "damaged" in contender:
            lines.append(f"{name} is damaged: {contender['damaged']}")
            continue
        rows = {row.decision.week_start: row.label for row in store.experience.records(name)}
        due = [day for day, label in rows.items() if day <= known and label is None]
        lines += [f"{name} has no label of {day}, which is due: materialise labeled_experience." for day in due]
        if rows:
            span = calendar.weeks(min(rows), known)["week"] if min(rows) <= known else ()
            left_out = [str(day.date()) for day in span if str(day.date()) not in rows]
            if left_out:
                lines.append(f"{name} did not decide {_listed(left_out)}.")
        unbooked = [day for day, label in rows.items() if label is not None and day <= known]
        booked = contender["account"]["weeks"] if contender["account"] is not None else []
        unbooked = [day for day in unbooked if day not in booked]
        if unbooked:
            lines.append(f"The paper account of {name} has not booked {_listed(unbooked)}.")
    return lines


def _news(week: str, store: StoreResource) -> Iterator[str]:
    if not store.assets.has("signals", week[:4]):
        yield f"The signals of {week[:4]} are not made: materialise signals."
        return
    try:
        table = store.assets.read("signals", week[:4])
    except CorruptArtifactError as error:
        yield f"Which stocks have too little news is not known: {error}"
        return
    rows = table[(table["week"] == week) & (table["articles"] < MIN_ARTICLES)]
    if len(rows):
        days = NEWS_WINDOW.days
        yield (
            f"Insufficient news, fewer than {MIN_ARTICLES} articles in {days} days, so that sentiment is missing: "
            f"{', '.join(rows['symbol'])}."
        )


def _listed(weeks: Sequence[str]) -> str:
    """Return weeks as text, the first and the last of many."""
    if len(weeks) <= 3:
        return f"the {'week' if len(weeks) == 1 else 'weeks'} of {', '.join(weeks)}"
    return f"{len(weeks)} weeks from {weeks[0]} to {weeks[-1]}"
