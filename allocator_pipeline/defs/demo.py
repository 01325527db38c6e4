"""``make demo``: the whole graph through Dagster, from prices to promoted policies, weights and labels."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
warnings.filterwarnings("ignore", category=UserWarning, module="dagster")

from allocator_pipeline.config import (  # noqa: E402 (the environment comes first)
    ALLOCATORS,
    ANCHOR,
    BASELINES,
    CASH,
    FORECASTERS,
    OPPONENTS,
    PRINCIPAL_BASELINES,
    Settings,
)
from allocator_pipeline.defs.asset_checks import BLOCKING  # noqa: E402
from allocator_pipeline.defs.home import dagster_home  # noqa: E402
from allocator_pipeline.defs.partitions import Partitions  # noqa: E402
from allocator_pipeline.defs.resources import StoreResource  # noqa: E402
from allocator_pipeline.defs.runner import Task, Workers, spans  # noqa: E402
from allocator_pipeline.defs.storage import AssetStore  # noqa: E402
from allocator_pipeline.errors import AllocatorError, ConfigurationError  # noqa: E402
from allocator_pipeline.ingestion.asking import require_keys  # noqa: E402
from allocator_pipeline.market.live.needs import feeds_of  # noqa: E402

JUDGED_YEARS = 8
WEEKS = 9  # eight whose outcome is known on a static market, and the one to come
WORKERS = 2
DOWNLOADS = "downloads"
REPLICATED = "dpg_lstm"
"""Trained from other seeds too: it is the quickest."""


@dataclass(frozen=True)
class Window:
    """What the demo covers.

    Parameters
    ----------
    market_years, state_years, policy_years, report_years : list of int
    decision_weeks, label_weeks : list of str
        Mondays.
    external : tuple of str
        Forecasters of the user's table.
    feeds : tuple of str
        Downloads of a live market.
    """

    market_years: list[int]
    state_years: list[int]
    policy_years: list[int]
    report_years: list[int]
    decision_weeks: list[str]
    label_weeks: list[str]
    external: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()

    @classmethod
    def of(cls, partitions: Partitions, feeds: tuple[str, ...] = ()) -> Window:
        """Return the last eight judged years and the last eight weeks of a market."""
        market_years = [int(key) for key in partitions.market_years.get_partition_keys()]
        reports = [year for year in market_years if year >= partitions.first_report_year][-JUDGED_YEARS:]
        if not reports:
            raise ConfigurationError(
                f"This market starts in {partitions.first_year}: no year can be judged yet.",
                todo="set ALLOCATOR_MIN_TRAINING_YEARS=3, or use a longer market.",
            )
        decisions = list(partitions.weeks(1).get_partition_keys())[-WEEKS:]
        labels = set(partitions.weeks(0).get_partition_keys())
        return cls(
            market_years=market_years,
            state_years=[year for year in market_years if year >= partitions.first_forecast_year],
            policy_years=[year - 1 for year in reports],
            report_years=reports,
            decision_weeks=decisions,
            label_weeks=[week for week in decisions if week in labels],
            external=partitions.external,
            feeds=feeds,
        )


def stages(window: Window) -> Iterator[tuple[str, list[Task]]]:
    """Yield the stages in order; the tasks of one stage do not depend on one another."""
    first, last = str(window.state_years[0]), str(window.state_years[-1])
    years = (str(window.market_years[0]), str(window.market_years[-1]))
    if window.feeds:
        yield DOWNLOADS, downloads(window.feeds, *years)
    yield (
        "market data",
        [
            Task("prices, sentiment and fundamentals", ("prices", "sentiment", "fundamentals"), *years),
        ],
    )
    yield (
        "features",
        [Task("universe, signals, outcomes", ("universe", "signals", "outcomes", "price_windows"), first, last)],
    )
    if window.external:  # the user's table may have grown since
        yield "forecasts from elsewhere", [Task("their table", ("external_forecasts",), first, last, again=True)]
    yield "forecasts, states, baselines", list(_forecast_tasks(window))
    yield "forecast panel", list(_panel_tasks(window))
    frozen = window.policy_years[0]
    yield (
        "policies",
        [
            *(
                Task(
                    f"{name} reference policy of {frozen}",
                    ("reference_policies",),
                    f"{name}|{frozen}",
                    f"{name}|{frozen}",
                )
                for name in ("sac_lstm", "ppo_lstm")
            ),
            *(
                Task(
                    f"{name} policies",
                    ("trained_policies",),
                    f"{name}|{a}",
                    f"{name}|{b}",
                    config={"trained_policies": {"processes": 1}},  # the runs themselves go side by side
                )
                for name in ALLOCATORS
                for a, b in spans(map(str, window.policy_years), 2)
            ),
            *(
                Task(
                    f"{REPLICATED} from other seeds",
                    ("seed_policies",),
                    f"{REPLICATED}|{a}",
                    f"{REPLICATED}|{b}",
                    config={"seed_policies": {"processes": 1}},
                )
                for a, b in spans(map(str, window.policy_years), 2)
            ),
        ],
    )
    for name in ALLOCATORS:  # not side by side: each report is a try in the one ledger, whose order is to be the same
        span = (f"{name}|{window.report_years[0]}", f"{name}|{window.report_years[-1]}")
        yield f"reports of {name}", [Task(f"{name} reports", ("eval_reports",), *span)]


def downloads(feeds: Sequence[str], first: str, last: str) -> list[Task]:
    """Return the downloads of some years: one after the other where one is held against the other."""
    bars = tuple(feed for feed in feeds if feed.endswith("_bars"))
    others = [Task(feed, (feed,), first, last) for feed in feeds if feed not in bars]
    return [Task(" and ".join(bars), bars, first, last), *others]


def _forecast_tasks(window: Window) -> Iterator[Task]:
    first, last = str(window.state_years[0]), str(window.state_years[-1])
    for name in reversed(FORECASTERS):
        for a, b in spans(map(str, window.state_years), 2):
            yield Task(
                f"{name} forecasts and states",
                ("forecasts", "state_tensors"),
                f"{name}|{a}",
                f"{name}|{b}",
                config={"forecasts": {"processes": 1}},  # the runs themselves go side by side
            )
    one, other = PRINCIPAL_BASELINES[0], PRINCIPAL_BASELINES[-1]
    yield Task("baseline weights", ("baseline_weights",), f"{one}|{first}", f"{other}|{last}")
    # the others in the judged years only: an optimiser takes eleven milliseconds a week
    rest = BASELINES[len(PRINCIPAL_BASELINES) :]
    for a, b in spans(map(str, window.report_years), 2):
        yield Task("more baseline weights", ("baseline_weights",), f"{rest[0]}|{a}", f"{rest[-1]}|{b}")
    yield Task("optional opponents", ("opponent_forecasts",), first, last)


def _panel_tasks(window: Window) -> Iterator[Task]:
    first, last = str(window.state_years[0]), str(window.state_years[-1])
    for a, b in spans(map(str, window.state_years), 2):
        yield Task("panel", ("forecast_panel",), f"{FORECASTERS[0]}|{a}", f"{OPPONENTS[-1]}|{b}")
    for name in window.external:  # anew, as their table may have grown
        yield Task(f"panel of {name}", ("forecast_panel",), f"{name}|{first}", f"{name}|{last}", again=True)


def weekly_tasks(window: Window) -> Iterator[Task]:
    """Yield the runs of the last weeks in calendar order: decide, label, score; fine-tune once, in the middle."""
    one, other = ALLOCATORS[0], ALLOCATORS[-1]
    for number, week in enumerate(window.decision_weeks):
        span = (f"{one}|{week}", f"{other}|{week}")
        if number == len(window.decision_weeks) // 2:
            yield Task(f"fine-tunes for {week}", ("finetuned_policies",), *span)
        yield Task(f"decisions of {week}", ("target_weights", "decisions"), *span)
        if week in window.label_weeks:
            yield Task(
                f"accounts, labels and paper evaluations of {week}",
                ("paper_account", "labeled_experience", "paper_evaluations"),
                *span,
            )


def closing_tasks(window: Window) -> list[list[Task]]:
    """Return what sums the rest up, made anew whenever anything else was: stages whose tasks go side by side."""
    week = window.decision_weeks[-1]
    summaries = [Task(f"{name} over all years", ("allocator_summary",), name, name) for name in ALLOCATORS]
    return [
        [Task("forecasts in words", ("forecast_summary",)), *summaries],
        [Task("allocators compared", ("evaluation_summary",))],
        [
            Task("report", ("allocation_report",)),
            Task("weekly report", ("weekly_report", "experience_export"), week, week),
        ],
    ]


class Progress:
    """One line for each finished run, with the time since the start."""

    def __init__(self) -> None:
        self.start = monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        seconds = int(monotonic() - self.start)
        print(f"[{seconds // 60:2d}:{seconds % 60:02d}] {text}", flush=True)


def todo(tasks: Sequence[Task], store: AssetStore, failed: Collection[str] = frozenset()) -> list[Task]:
    """Return the tasks of which something is not stored yet, or whose assets failed a check when last made."""
    return [
        task
        for task in tasks
        if task.again
        or not set(task.assets).isdisjoint(failed)
        or not all(store.has(name, key) for name in task.assets for key in _keys(task))
    ]


def failed_checks() -> set[str]:
    """Return the assets one of whose blocking checks did not pass when it last ran."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        keys = [dg.AssetCheckKey(dg.AssetKey(asset), check) for asset, check in BLOCKING]
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
        return {key.asset_key.path[-1] for key, record in latest.items() if record.status.value != "SUCCEEDED"}


def _keys(task: Task) -> list[str]:
    if task.first is None or task.last is None:
        return ["all"]
    if "|" not in task.first:
        return (
            [str(year) for year in range(int(task.first), int(task.last) + 1)] if task.first.isdigit() else [task.first]
        )
    (name_a, a), (name_b, b) = task.first.split("|"), task.last.split("|")
    names = next((row for row in (ALLOCATORS, (*FORECASTERS, *OPPONENTS), BASELINES) if name_a in row), (name_a,))
    chosen = names[names.index(name_a) : names.index(name_b) + 1]
    times = [str(year) for year in range(int(a), int(b) + 1)] if a.isdigit() else [a]
    return [f"{name}|{time}" for name in chosen for time in times]


def main() -> int:
    """Run the demo.

    Returns
    -------
    int
        Exit status.
    """
    try:
        settings = Settings.from_env()
        return _run(settings)
    except (AllocatorError, OSError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on from here.", file=sys.stderr)
        return 130


def _run(settings: Settings) -> int:
    import dagster as dg

    from allocator_pipeline.defs.build import partitions_of

    home = dagster_home(settings)
    dg.DagsterInstance.get().dispose()  # creates the database before two processes would at once
    partitions = partitions_of(settings)
    window = Window.of(partitions, feeds_of(settings.live) if settings.live else ())
    resource = StoreResource(root=str(settings.market_dir.absolute()))
    store = resource.assets
    progress = Progress()
    progress.say(f"market {settings.market}; Dagster home {home}")
    workers = Workers(settings, WORKERS)
    ran = 0
    try:
        for title, tasks in stages(window):
            open_tasks = todo(tasks, store, failed_checks())
            progress.say(f"{title}: {len(open_tasks)} of {len(tasks)} runs to do")
            if title == DOWNLOADS:
                require_keys(feed for task in open_tasks for feed in task.assets)
            for task, seconds in workers.run(open_tasks):
                ran += 1
                progress.say(f"  {task.title} {task.first} .. {task.last} ({seconds:.0f} s)")
        ran += _promote(workers, resource, progress)
        weekly = todo(list(weekly_tasks(window)), store, failed_checks())
        progress.say(f"last {WEEKS} weeks: {len(weekly)} runs to do")
        for task in weekly:
            for done, seconds in workers.run([task]):
                ran += 1
                progress.say(f"  {done.title} ({seconds:.0f} s)")
        ran += _promote(workers, resource, progress)
        for tasks in closing_tasks(window):
            for task, seconds in workers.run(tasks if ran else []):
                progress.say(f"  {task.title} ({seconds:.0f} s)")
    finally:
        workers.close()
    _summary(settings, window, resource, progress)
    return 0


def _promote(workers: Workers, resource: StoreResource, progress: Progress) -> int:
    """Run the promotions that the sensor asks for; return their number.

    One after the other, in the order of the allocators: a stream judged is a try in the one ledger, whose order is to
    be the same every time.
    """
    import dagster as dg

    from allocator_pipeline.defs.sensors import promotion_requests

    with dg.DagsterInstance.get() as instance:
        requests, _ = promotion_requests(instance, None, resource)
    progress.say(f"promotion: the sensor asks for {len(requests)} runs")
    asked = {request.partition_key: dict(request.tags) for request in requests}
    for name in (name for name in ALLOCATORS if name in asked):
        task = Task(f"promotion of {name}", ("promoted_policies", "promotion_history"), name, name, asked[name])
        for done, seconds in workers.run([task]):
            progress.say(f"  {done.title} ({seconds:.0f} s)")
    return len(asked)


def _summary(settings: Settings, window: Window, resource: StoreResource, progress: Progress) -> None:
    """Print the closing table, the last week's weights, and where everything is."""
    from allocator_pipeline.defs.report import FILE, latest_inputs
    from allocator_pipeline.defs.weekly_report import FOLDER as WEEKLY
    from allocator_pipeline.evaluation.forecast_words import as_lines
    from allocator_pipeline.evaluation.summary import findings

    inputs = latest_inputs(resource)
    week = window.decision_weeks[-1]
    print(f"\n{inputs.summary()}\n")
    print("\n".join(findings(inputs.reports, inputs.comparison)))
    if inputs.forecasts is not None:
        print("\nForecasts:\n" + "\n".join(as_lines(inputs.forecasts["words"])))
    print(f"\nTarget weights for the week of {week}:\n")
    print(weights_table({name: decision["target"] for name, decision in inputs.decisions.items()}))
    print(f"{'by':8}" + "".join(f"{decision['version']:>20}" for decision in inputs.decisions.values()))
    shares = [
        0.0
        if decision["version"] == ANCHOR  # the gate has put equal weight in the champion's place
        else resource.models.load(name, decision["version"]).manifest["facts"].get("served_share", 1.0)
        for name, decision in inputs.decisions.items()
    ]
    print(f"{'served':8}" + "".join(f"{100 * share:19.0f}%" for share in shares))
    print("'served' is the share of a policy's tilt from equal weight that its training weeks justify.")
    size = sum(path.stat().st_size for path in settings.data_dir.rglob("*") if path.is_file())
    print(f"\nReport: {Path(resource.root) / FILE}")
    print(f"Report of the week: {Path(resource.root) / WEEKLY / f'{week}.html'}")
    print(f"Disk: {size / 2**20:.0f} MiB under {settings.data_dir}. The UI with all of it: make dev")
    progress.say("done")


def weights_table(targets: dict[str, dict[str, float]]) -> str:
    """Return target weights as text, one row for each symbol, CASH last.

    Parameters
    ----------
    targets : dict
        Allocator -> weight by symbol and CASH.
    """
    symbols = sorted(
        {symbol for target in targets.values() for symbol in target}, key=lambda name: (name == CASH, name)
    )
    head = f"{'':8}" + "".join(f"{name:>20}" for name in targets)
    rows = [
        f"{symbol:8}" + "".join(f"{100 * target.get(symbol, 0.0):19.2f}%" for target in targets.values())
        for symbol in symbols
    ]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    sys.exit(main())
