"""The whole graph on a small market through a real Dagster instance: results, idempotence, and no look at the future.

Two runs share everything up to a cut; after it, prices of the second are replaced by a random walk. What was decided by
the cut must be the same to the last bit, champions included, and what comes later must not be.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import BASELINES, GateConfig, Settings, SimulatedConfig
from allocator_pipeline.defs import verdicts
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.promotion import stream_rivals
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.errors import AllocatorError, ConfigurationError, TrainingDivergedError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.simulated import SimulatedMarket

pytestmark = pytest.mark.xdist_group("pipeline")

GOLDEN = Path(__file__).parent / "golden" / "pipeline.json"
CUT = pd.Timestamp("2018-03-29")  # a decision session: the Thursday before Good Friday
FIRST, LAST = 2009, 2018
WEEKS = ["2018-02-26", "2018-03-05", "2018-03-12", "2018-03-19", "2018-03-26", "2018-04-02", "2018-04-09"]
ALLOCATOR, FORECASTER = "ppo_lstm", "lstm"


@dataclass(frozen=True)
class Pipeline:
    """A finished run of the graph and the means to run more of it."""

    settings: Settings
    definitions: dg.Definitions
    store: StoreResource

    def materialize(self, assets, first, last, config=None):
        with _home(self.settings):
            run_task(Task("test", assets, first, last, config=config or {}), self.settings, self.definitions)


class _home:
    """DAGSTER_HOME of one market for the time of a run."""

    def __init__(self, settings):
        self.settings = settings

    def __enter__(self):
        self.before = os.environ.pop("DAGSTER_HOME", None)
        dagster_home(self.settings)

    def __exit__(self, *_):
        os.environ.pop("DAGSTER_HOME")
        if self.before is not None:
            os.environ["DAGSTER_HOME"] = self.before


def write_market(folder: Path, corrupt_after: pd.Timestamp | None) -> None:
    """Write a simulated market as the user's own files."""
    config = SimulatedConfig(
        seed=3,
        start=pd.Timestamp(f"{FIRST}-01-01").date(),
        end=pd.Timestamp(f"{LAST}-05-31").date(),
        n_symbols=17,
        weekly_ic=0.3,  # plain enough that three years justify a tilt: a policy shrunk to equal weight leaks nothing
    )
    market = SimulatedMarket(config)
    years = range(FIRST, LAST + 1)
    prices = pd.concat([market.prices(year) for year in years], ignore_index=True)
    news = pd.concat([market.sentiment(year) for year in years])
    fundamentals = pd.concat([market.fundamentals(year) for year in years])
    if corrupt_after is not None:
        rng = np.random.default_rng(99)
        late = prices["date"] > corrupt_after
        for symbol, rows in prices[late].groupby("symbol"):
            last = prices.loc[(prices["symbol"] == symbol) & ~late, "close"].iloc[-1]
            walk = last * np.exp(np.cumsum(rng.normal(0, 0.03, len(rows))))
            for column in ("open", "high", "low", "close", "adj_close"):
                prices.loc[rows.index, column] = walk
    folder.mkdir(parents=True)
    prices.to_parquet(folder / "prices.parquet")
    news.to_parquet(folder / "news.parquet")
    fundamentals.to_parquet(folder / "fundamentals.parquet")


def run_graph(folder: Path, corrupt_after: pd.Timestamp | None) -> Pipeline:
    write_market(folder / "files", corrupt_after)
    settings = Settings(market="files", files_dir=folder / "files", data_dir=folder / "data", min_training_years=3)
    pipeline = Pipeline(settings, build_definitions(settings), StoreResource(root=str(settings.market_dir.absolute())))
    pipeline.materialize(("prices", "sentiment", "fundamentals"), str(FIRST), str(LAST))
    pipeline.materialize(("universe", "signals", "outcomes", "price_windows"), "2014", str(LAST))
    pipeline.materialize(("forecasts", "state_tensors"), f"{FORECASTER}|2014", f"{FORECASTER}|{LAST}")
    pipeline.materialize(("baseline_weights",), f"{BASELINES[0]}|2017", f"{BASELINES[-1]}|{LAST}")
    pipeline.materialize(("trained_policies",), f"{ALLOCATOR}|2016", f"{ALLOCATOR}|2017")
    pipeline.materialize(("eval_reports",), f"{ALLOCATOR}|2017", f"{ALLOCATOR}|{LAST}")
    pipeline.materialize(("promoted_policies", "promotion_history"), ALLOCATOR, ALLOCATOR)
    for week in WEEKS:
        key = f"{ALLOCATOR}|{week}"
        if week == WEEKS[3]:
            pipeline.materialize(("finetuned_policies",), key, key)
        pipeline.materialize(("target_weights", "decisions"), key, key)
        pipeline.materialize(("paper_account", "labeled_experience", "paper_evaluations"), key, key)
    pipeline.materialize(("promoted_policies", "promotion_history"), ALLOCATOR, ALLOCATOR)  # reads the papers
    return pipeline


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return run_graph(tmp_path_factory.mktemp("honest"), None)


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory):
    return run_graph(tmp_path_factory.mktemp("corrupted"), CUT)


@pytest.fixture(scope="module")
def both(honest, corrupted):
    return SimpleNamespace(a=honest.store, b=corrupted.store)


def decided_by_cut(weeks) -> np.ndarray:
    return np.array([calendar.week(week)["decision_session"] <= CUT for week in weeks])


def test_forecasts_and_states_up_to_the_cut_are_the_same_bits(both):
    key = f"{FORECASTER}|{LAST}"
    a, b = (store.assets.read("state_tensors", key) for store in (both.a, both.b))
    early = decided_by_cut(a.weeks)
    assert 0 < early.sum() < len(a)
    for name in ("signals", "missing", "forecasts"):
        left, right = getattr(a, name), getattr(b, name)
        assert left[early].tobytes() == right[early].tobytes(), name
    assert not np.array_equal(a.forecasts[~early], b.forecasts[~early])
    for year in range(2014, LAST):
        one, other = (store.assets.read("state_tensors", f"{FORECASTER}|{year}").digest() for store in (both.a, both.b))
        assert one == other


def test_policies_reports_and_champions_up_to_the_cut_are_the_same(both):
    for year in (2016, 2017):
        versions = {
            s.assets.read("trained_policies", f"{ALLOCATOR}|{year}")["identity_sha256"] for s in (both.a, both.b)
        }
        assert len(versions) == 1
    model = both.a.models.load(ALLOCATOR, both.a.assets.read("trained_policies", f"{ALLOCATOR}|2016")["version"])
    assert model.manifest["facts"]["served_share"] > 0.5
    histories = [store.verdicts(ALLOCATOR).history() for store in (both.a, both.b)]
    early = [[v for v in history if pd.Timestamp(v.effective_week) <= CUT] for history in histories]
    assert early[0]
    assert early[0] == early[1]
    tuned = {s.assets.digest("finetuned_policies", f"{ALLOCATOR}|{WEEKS[3]}") for s in (both.a, both.b)}
    assert len(tuned) == 1
    late = [store.assets.digest("eval_reports", f"{ALLOCATOR}|{LAST}") for store in (both.a, both.b)]
    assert late[0] != late[1]


def test_weights_and_decisions_up_to_the_cut_are_the_same_bits_and_later_ones_are_not(both):
    same = {
        week: both.a.assets.digest("target_weights", f"{ALLOCATOR}|{week}")
        == both.b.assets.digest("target_weights", f"{ALLOCATOR}|{week}")
        for week in WEEKS
    }
    assert same == {week: bool(early) for week, early in zip(WEEKS, decided_by_cut(WEEKS), strict=True)}


def test_labels_follow_the_one_accounting(honest):
    rows = honest.store.experience.records(ALLOCATOR)
    assert [row.decision.week_start for row in rows] == WEEKS
    for row in rows:
        states = honest.store.assets.read("state_tensors", f"{FORECASTER}|{LAST}")
        at = states.row(row.decision.week_start)
        stocks = states.symbols[at]
        gross = sum(row.decision.action[str(s)] * states.returns[at, i] for i, s in enumerate(stocks))
        assert row.label.realized_return == pytest.approx((1 - row.label.cost) * (1 + gross) - 1, abs=1e-12)
        assert row.label.cost == pytest.approx(1e-3 * row.label.realized_turnover, abs=1e-15)
        assert row.label.reward == pytest.approx(100 * np.log1p(row.label.realized_return), abs=1e-9)


def test_the_weeks_report_stands_on_what_the_graph_made_and_comes_out_the_same_again(honest):
    week, known = WEEKS[-1], WEEKS[-3]
    pages = []
    for _ in range(2):
        honest.materialize(("weekly_report", "experience_export"), week, week)
        value = honest.store.assets.read("weekly_report", week)
        page = Path(honest.store.root) / value["file"]
        exported = sorted((Path(honest.store.root) / "experience").iterdir())
        pages.append([canonical_json(value), page.read_bytes(), *(path.read_bytes() for path in exported)])
    assert pages[0] == pages[1]
    assert value["known_week"] == known
    rows = {row.decision.week_start: row for row in honest.store.experience.records(ALLOCATOR)}
    own, rivals = value["allocators"][ALLOCATOR], value["rivals"]
    assert own["decision"]["target"] == rows[week].decision.action
    assert own["result"]["net"] == rows[known].label.realized_return
    assert own["paper"]["champion"]["net"] == pytest.approx(own["result"]["net"], abs=1e-12)
    assert own["account"]["weeks"] == rivals["weeks"] == WEEKS[:-2]
    assert set(rivals["net"]) == set(rivals["target"]) == set(BASELINES)
    assert set(rivals["absent"]) == {"SPY"}
    assert sum(rivals["target"]["hrp"].values()) == pytest.approx(1.0)
    assert [path.name for path in exported[1:]] == [f"paper+{day}+{ALLOCATOR}.json" for day in WEEKS]
    assert json.loads(exported[-1].read_bytes())["action"] == rows[week].decision.action


def test_the_paper_account_books_every_week_once_and_reconciles(honest):
    booked = honest.store.account(ALLOCATOR).history()
    assert [week.week for week in booked] == WEEKS
    assert booked[0].nav_before == honest.settings.account.deposit
    for week, row in zip(booked, honest.store.experience.records(ALLOCATOR), strict=True):
        assert abs(week.reconciliation_error) < 1e-12
        assert row.label.actual_weights == week.actual_weights
        assert row.label.execution_report == week.execution_report
        assert week.net == pytest.approx(row.label.realized_return, abs=0.002)  # but for skipped orders
        assert honest.store.assets.read("paper_account", f"{ALLOCATOR}|{week.week}")["booking"]["nav"] == week.nav
        orders = json.loads((honest.store.orders / ALLOCATOR / f"{week.week}.json").read_text())
        assert all(order["status"] == "preview" for order in orders)
        assert all(order["source"] for order in orders)


def test_champion_and_challenger_stand_side_by_side(honest):
    papers = [honest.store.assets.read("paper_evaluations", f"{ALLOCATOR}|{week}") for week in WEEKS]
    assert [paper["challenger"] is not None for paper in papers] == [False] * 3 + [True] * 4
    assert papers[-1]["challenger"]["version"].endswith("-ft")


def test_a_fine_tune_says_what_it_forgot_of_the_weeks_before_its_own(honest):
    tuned = honest.store.assets.read("finetuned_policies", f"{ALLOCATOR}|{WEEKS[3]}")
    facts = honest.store.models.load(ALLOCATOR, tuned["version"]).manifest["facts"]
    kept = tuned["forgetting"]
    assert kept["last_week"] == str(calendar.shift_week(facts["first_week"], -1).date())
    assert kept["weeks"] > 150
    assert kept["weeks"] > kept["in_sample"] > 0
    assert kept["difference"]["sharpe"] == pytest.approx(kept["finetuned"]["sharpe"] - kept["champion"]["sharpe"])


def test_reports_hold_every_baseline(honest):
    series = honest.store.assets.read("eval_reports", f"{ALLOCATOR}|{LAST}")["walk_forward"]["series"]
    assert {name for name, one in series.items() if one["role"] == "baseline"} == set(BASELINES)


def test_the_summary_walks_as_the_newest_report_did_and_is_compared_with_every_baseline(honest):
    honest.materialize(("allocator_summary",), ALLOCATOR, ALLOCATOR)
    honest.materialize(("evaluation_summary",), None, None)
    summary = honest.store.assets.read("allocator_summary", ALLOCATOR)
    report = honest.store.assets.read("eval_reports", f"{ALLOCATOR}|{LAST}")
    walked = report["walk_forward"]["series"]
    for name in ("policy", *BASELINES):
        assert summary["series"][name]["metrics"] == walked[name]["metrics"]
        assert summary["series"][name]["weekly"]["net"] == walked[name]["weekly"]["net"]
    assert summary["versions"][str(LAST)] == report["candidate"]
    assert summary["shares"][str(LAST)] > 0.5
    assert summary["response"]["integrated_gradients"]["active_share"] > 0.01
    compared = honest.store.assets.read("evaluation_summary", "all")
    assert [row["baseline"] for row in compared["pairs"]] == list(BASELINES)
    assert compared["tries"]["count"] == len(honest.store.ledger.history())
    assert compared["trials"] >= 2


def test_policies_that_no_report_has_judged_are_not_looked_at(honest):
    """Trained anew: were they summed up first, they would be seen and no try counted."""
    assets, key = honest.store.assets, f"{ALLOCATOR}|2016"
    known, shown = assets.read("trained_policies", key), assets.digest("allocator_summary", ALLOCATOR)
    assets.write(
        "trained_policies", key, {**known, "version": assets.read("trained_policies", f"{ALLOCATOR}|2017")["version"]}
    )
    with pytest.raises(AllocatorError, match=rf"(?s)not judged.*decide 2017.*eval_reports of 2017, {LAST} first"):
        honest.materialize(("allocator_summary",), ALLOCATOR, ALLOCATOR)
    assets.write("trained_policies", key, known)
    assert assets.digest("allocator_summary", ALLOCATOR) == shown


def test_a_recipe_from_another_seed_is_walked_beside_it_and_is_no_try_and_no_candidate(honest):
    store, keys = honest.store, [f"{ALLOCATOR}|2016", f"{ALLOCATOR}|2017"]
    candidates, tries = store.models.versions(ALLOCATOR), len(store.ledger.history())

    def values():
        honest.materialize(("seed_policies",), *keys, {"seed_policies": {"seeds": [1]}})
        return [store.assets.read("seed_policies", key)["seeds"] for key in keys]

    found = values()
    assert [list(seeds) for seeds in found] == [["1"], ["1"]]
    assert {seeds["1"]["name"] for seeds in found} == {f"{ALLOCATOR}-seed-1"}
    assert values() == found
    assert not list(store.checkpoints.rglob("*.safetensors"))
    assert (store.models.versions(ALLOCATOR), len(store.ledger.history())) == (candidates, tries)
    honest.materialize(("allocator_summary",), ALLOCATOR, ALLOCATOR)
    summary = store.assets.read("allocator_summary", ALLOCATOR)
    own, other = summary["recipes"]["walks"]
    assert (own["seed"], other["seed"]) == (42, 1)
    assert own["net"] == summary["series"]["policy"]["weekly"]["net"] != other["net"]
    assert summary["recipes"]["spread"]["sharpe"]["n"] == 2


def test_every_partition_again_changes_nothing_and_trains_nothing(honest):
    def files():
        root = Path(honest.store.root)
        return {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and p.suffix not in (".lock",)}

    before = files()
    honest.materialize(("prices", "sentiment", "fundamentals"), str(FIRST), str(LAST))
    honest.materialize(("universe", "signals", "outcomes", "price_windows"), "2014", str(LAST))
    honest.materialize(("forecasts", "state_tensors"), f"{FORECASTER}|2014", f"{FORECASTER}|{LAST}")
    honest.materialize(("trained_policies",), f"{ALLOCATOR}|2016", f"{ALLOCATOR}|2017")
    honest.materialize(("eval_reports",), f"{ALLOCATOR}|2017", f"{ALLOCATOR}|{LAST}")
    honest.materialize(("promoted_policies", "promotion_history"), ALLOCATOR, ALLOCATOR)
    key = f"{ALLOCATOR}|{WEEKS[3]}"
    honest.materialize(("finetuned_policies",), key, key)
    honest.materialize(("target_weights", "decisions"), key, key)
    honest.materialize(("paper_account", "labeled_experience", "paper_evaluations"), key, key)
    assert files() == before


def test_a_week_before_the_first_champion_is_a_clear_error(honest):
    key = f"{ALLOCATOR}|2018-01-01"
    with pytest.raises(AllocatorError, match=r"(?s)No policy of ppo_lstm is champion.*2018-01-01.*materialise"):
        honest.materialize(("target_weights",), key, key)


def test_a_missing_upstream_partition_is_named(honest):
    with pytest.raises(AllocatorError, match=r"(?s)patchtst\|2014.*has not been materialised"):
        honest.materialize(("trained_policies",), "ppo_patchtst|2016", "ppo_patchtst|2016")


def test_a_given_portfolio_is_decided_from_and_what_left_the_universe_is_sold(honest):
    week = "2018-04-16"
    key = f"{ALLOCATOR}|{week}"
    stocks = honest.store.assets.read("universe", str(LAST))["symbol"].tolist()
    portfolio = {
        "cash": 500.0,
        "positions": [{"symbol": stocks[0], "market_value": 300.0}, {"symbol": "GONE", "market_value": 200.0}],
    }
    honest.materialize(("target_weights",), key, key, {"target_weights": {"portfolio": portfolio}})
    decided = honest.store.assets.read("target_weights", key)
    assert decided["sold"] == {"GONE": 0.2}
    assert decided["record"]["state"]["current_weights"]["CASH"] == pytest.approx(
        0.7
    )  # what is to be sold counts as cash
    assert decided["record"]["state"]["current_weights"][stocks[0]] == pytest.approx(0.3)
    with pytest.raises(AllocatorError, match=r"(?s)cannot be used.*cash"):
        honest.materialize(("target_weights",), key, key, {"target_weights": {"portfolio": {"positions": []}}})


def test_every_judgement_is_a_try_and_the_record_tells_them(honest):
    tries = honest.store.ledger.history()
    history = honest.store.verdicts(ALLOCATOR).history()
    assert [entry.candidate for entry in tries] == [verdict.candidate for verdict in history]
    assert [verdict.evidence["badge"]["try"] for verdict in history] == [1, 2]
    told = honest.store.assets.read("promotion_history", ALLOCATOR)
    assert [case["sha256"] for case in told["cases"]] == [verdict.sha256 for verdict in history]
    assert [entry["number"] for entry in told["tries"]] == [1, 2]
    assert told["record"].startswith("### Case 2: report of 2018")


def test_the_baselines_of_a_stream_earn_what_they_earn_in_the_report(honest):
    series = honest.store.assets.read("eval_reports", f"{ALLOCATOR}|{LAST}")["walk_forward"]["series"]
    start = series["hrp"]["weekly"]["weeks"].index("2018-01-01")
    weeks = series["hrp"]["weekly"]["weeks"][start:]  # the week before them is of another year
    found, _ = stream_rivals(ALLOCATOR, weeks, honest.store, honest.settings.costs)
    assert found == {name: series[name]["weekly"]["net"][start:] for name in ("hrp", "equal_weight")}


def replayed(pipeline):
    job = pipeline.definitions.resolve_job_def("replay_verdicts_job")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False)


def test_verdicts_can_be_made_again_in_the_ui_and_a_touched_input_stops_the_job(honest):
    assert replayed(honest).success
    assert set(verdicts.replayed(honest.store, honest.settings.costs)["result"]) == {"same"}
    digest = honest.store.verdicts(ALLOCATOR).history()[1].evidence["inputs"]["walk"]
    path = Path(honest.store.root) / "registry" / "inputs" / f"{digest}.json.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert not replayed(honest).success
    path.write_bytes(whole)


def test_a_roll_back_is_a_verdict_and_needs_its_week(honest):
    log = honest.store.verdicts(ALLOCATOR)
    first = log.history()[0].champion
    order = {"rollback_to": first, "reason": "a test"}
    with pytest.raises(AllocatorError, match="effective_week"):
        honest.materialize(("promoted_policies",), ALLOCATOR, ALLOCATOR, {"promoted_policies": order})
    later = {**order, "effective_week": "2030-01-07"}
    honest.materialize(("promoted_policies",), ALLOCATOR, ALLOCATOR, {"promoted_policies": later})
    assert log.champion_at("2030-01-07").champion == first


def test_a_decided_week_is_never_decided_otherwise(honest):
    key = f"{ALLOCATOR}|{WEEKS[1]}"
    given = {"target_weights": {"portfolio": {"cash": 1.0, "positions": [{"symbol": "SIM01", "market_value": 3.0}]}}}
    before = honest.store.experience.records(ALLOCATOR)
    shown = honest.store.assets.digest("target_weights", key)
    with pytest.raises(AllocatorError, match=r"(?s)paper:2018-03-05:ppo_lstm cannot be decided"):
        honest.materialize(("target_weights", "decisions"), key, key, given)
    assert honest.store.experience.records(ALLOCATOR) == before
    assert honest.store.assets.digest("target_weights", key) == shown


def test_a_missed_week_is_named_before_the_account_goes_on(honest):
    key = f"{ALLOCATOR}|2018-04-23"
    with pytest.raises(AllocatorError, match=r"(?s)last decided for 2018-04-09.*2018-04-16"):
        honest.materialize(("target_weights",), key, key)


def test_where_proof_is_demanded_equal_weight_is_served_and_said_to_be(honest, monkeypatch):
    """The demand may be switched on and off; a week that is recorded stays as it was served."""
    strict_settings = replace(honest.settings, gate=GateConfig(proof_to_serve=True))
    strict = Pipeline(strict_settings, build_definitions(strict_settings), honest.store)
    before = {week: honest.store.assets.digest("target_weights", f"{ALLOCATOR}|{week}") for week in WEEKS}
    strict.materialize(("target_weights", "decisions"), f"{ALLOCATOR}|{WEEKS[-1]}", f"{ALLOCATOR}|{WEEKS[-1]}")
    key = f"{ALLOCATOR}|2018-04-16"
    strict.materialize(("target_weights",), key, key)
    decided = honest.store.assets.read("target_weights", key)
    assert (decided["policy_version"], decided["proven"]) == (decided["champion"], True)  # the planted signal is plain
    monkeypatch.setattr("allocator_pipeline.registry.ledger.EvidenceLedger.proof", lambda *_, **__: None)
    strict.materialize(("target_weights", "decisions"), key, key)
    decided = honest.store.assets.read("target_weights", key)
    assert (decided["policy_version"], decided["proven"]) == ("equal_weight", False)
    assert decided["champion"] == honest.store.verdicts(ALLOCATOR).champion_at("2018-04-16").champion
    assert decided["record"]["policy_version"] == "equal_weight"
    assert honest.store.experience.records(ALLOCATOR)[-1].decision.policy_version == "equal_weight"
    weights = {name: weight for name, weight in decided["target_weights"].items() if name != "CASH"}
    assert list(weights.values()) == [pytest.approx(0.98 / 15)] * 15
    shown = honest.store.assets.digest("target_weights", key)
    honest.materialize(("target_weights", "decisions"), key, key)
    assert honest.store.assets.digest("target_weights", key) == shown
    assert {week: honest.store.assets.digest("target_weights", f"{ALLOCATOR}|{week}") for week in WEEKS} == before


def test_a_training_that_fails_is_a_try(honest, monkeypatch):
    def diverge(*_, **__):
        raise TrainingDivergedError("It has diverged by step 10: actor is not finite.", todo="lower the rate.")

    before = len(honest.store.ledger.history())
    monkeypatch.setattr("allocator_pipeline.training.worker.train_full", diverge)
    monkeypatch.setattr("allocator_pipeline.training.finetune.finetune", diverge)
    key = f"{ALLOCATOR}|2016"
    for _ in range(2):  # the second time it is the same try
        with pytest.raises(AllocatorError, match="diverged"):
            honest.materialize(("trained_policies",), key, key, {"trained_policies": {"seed": 7}})
    key = f"{ALLOCATOR}|{WEEKS[4]}"
    with pytest.raises(AllocatorError, match="diverged"):
        honest.materialize(("finetuned_policies",), key, key)
    failed = honest.store.ledger.history()[before:]
    assert [(entry.verdict, entry.allocator) for entry in failed] == [("failed", ALLOCATOR)] * 2
    assert failed[1].candidate.endswith("-ft")


def test_a_brokers_paper_account_is_decided_from_and_replaces_ours(honest, monkeypatch):
    pytest.importorskip("alpaca")
    from allocator_pipeline_tests.clients.alpaca_server import Alpaca, position, serve

    week = "2018-04-23"
    key = f"{ALLOCATOR}|{week}"
    broker = Alpaca(positions=[position("SIM01", "40", "5000.00"), position("SIM16", "10", "2500.00")])
    server = serve(broker)
    for name, value in broker.env.items():
        monkeypatch.setenv(name, value)
    honest.materialize(("target_weights", "decisions"), key, key, {"target_weights": {"portfolio_from_alpaca": True}})
    server.shutdown()
    server.server_close()
    honest.materialize(("paper_account", "labeled_experience"), key, key)
    record = honest.store.experience.get(f"paper:{week}:{ALLOCATOR}")
    assert record.decision.portfolio["nav"] == 10_000.0
    exported = json.loads((honest.store.orders / ALLOCATOR / f"{week}.json").read_text())
    assert {order["source"] for order in exported} == {"the portfolio given, at the closes of the decision"}
    booked = honest.store.account(ALLOCATOR).history()[-1]
    assert [event["kind"] for event in booked.events[:2]] == ["withdrawal", "deposit"]
    opened = booked.events[1]["shares"]
    assert opened == record.decision.portfolio["quantities"] == {"SIM01": 40.0, "SIM16": 10.0}
    prices = booked.events[1]["facts"]["prices"]
    assert booked.nav_before == pytest.approx(2_500.0 + sum(opened[name] * prices[name] for name in opened))
    assert record.label.execution_report == booked.execution_report
    secrets = [value for name, value in broker.env.items() if name.endswith(("KEY_ID", "SECRET_KEY"))]
    written = b"".join(path.read_bytes() for path in honest.settings.data_dir.rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret.encode() in written]


def test_one_data_folder_holds_results_of_one_choice_of_settings(honest):
    with pytest.raises(ConfigurationError, match=r"universe was point_in_time and is fixed"):
        build_definitions(replace(honest.settings, universe="fixed"))


def test_the_graph_reproduces_its_golden_run(honest):
    """Numbers of the golden run; the trained ones with room for other processors' rounding."""
    assets = honest.store.assets
    states = assets.read("state_tensors", f"{FORECASTER}|2017")
    report = assets.read("eval_reports", f"{ALLOCATOR}|2017")["walk_forward"]["series"]
    found = {
        "universe_2017": assets.read("universe", "2017")["symbol"].tolist(),
        "returns_sum": float(states.returns.sum()),
        "signals_sum": float(np.abs(states.signals).sum()),
        "equal_weight_sharpe": report["equal_weight"]["metrics"]["sharpe"],
        "hrp_sharpe": report["hrp"]["metrics"]["sharpe"],
        "mean_abs_forecast": float(np.abs(states.forecasts).mean()),
        "policy_sharpe": report["policy"]["metrics"]["sharpe"],
    }
    if os.environ.get("UPDATE_SNAPSHOTS"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    room = {key: {"rel": 1e-09} for key in ("returns_sum", "signals_sum", "equal_weight_sharpe")} | {
        "hrp_sharpe": {"rel": 1e-4},
        "mean_abs_forecast": {"rel": 0.02},
        "policy_sharpe": {"abs": 0.1},
    }
    assert found.pop("universe_2017") == golden.pop("universe_2017")
    assert set(found) == set(golden) == set(room)
    for name, value in found.items():
        assert value == pytest.approx(golden[name], **room[name]), name


def test_an_objective_by_run_config_is_another_policy(honest):
    """Penalties and the number of processes come from the run; only the penalties make another version."""
    keys = [f"{ALLOCATOR}|2016", f"{ALLOCATOR}|2017"]
    before = [honest.store.assets.read("trained_policies", key)["version"] for key in keys]

    def versions(**config):
        honest.materialize(("trained_policies",), *keys, {"trained_policies": config})
        return [honest.store.assets.read("trained_policies", key)["version"] for key in keys]

    thrifty = versions(processes=2, objective={"turnover": 5.0})
    assert not set(thrifty) & set(before)
    stored = [honest.store.models.load(ALLOCATOR, version) for version in thrifty]
    assert [model.manifest["config"]["recipe"]["objective"]["turnover"] for model in stored] == [5.0, 5.0]
    assert versions(processes=1) == before
    assert not list((Path(honest.store.root) / "checkpoints").rglob("*.safetensors"))
    assert list(honest.store.tensorboard.rglob("events.*"))


def test_a_damaged_champion_is_refused_or_replaced_by_the_one_before_it_which_the_decision_says(honest):
    """A version promoted by hand loses a bit; the week decided in its place stays so when it is whole again."""
    week = "2018-04-30"
    key = f"{ALLOCATOR}|{week}"
    before = honest.store.verdicts(ALLOCATOR).champion_at(week).champion
    chosen = honest.store.assets.read("trained_policies", f"{ALLOCATOR}|2017")["version"]
    order = {"promote_to": chosen, "effective_week": week, "reason": "a test"}
    honest.materialize(("promoted_policies",), ALLOCATOR, ALLOCATOR, {"promoted_policies": order})
    assert honest.store.verdicts(ALLOCATOR).champion_at(week).champion == chosen != before
    path = honest.store.models.root / ALLOCATOR / chosen / "policy.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    given = {"target_weights": {"portfolio": {"cash": 100.0, "positions": []}}}
    with pytest.raises(AllocatorError, match=f"{chosen} is refused"):
        honest.materialize(("target_weights", "decisions"), key, key, given)
    lenient = replace(honest.settings, fallback="previous")
    falling = Pipeline(lenient, build_definitions(lenient), honest.store)
    falling.materialize(("target_weights", "decisions"), key, key, given)
    decided = honest.store.assets.read("target_weights", key)
    assert (decided["policy_version"], decided["champion"]) == (before, chosen)
    recorded = honest.store.experience.get(f"paper:{week}:{ALLOCATOR}").decision
    assert recorded.policy_version == before
    assert recorded.fallback == decided["fallback"]
    assert f"{chosen} is refused" in recorded.fallback
    shown = honest.store.assets.digest("target_weights", key)
    path.write_bytes(whole)
    honest.materialize(("target_weights", "decisions"), key, key)
    assert honest.store.assets.digest("target_weights", key) == shown
    path = honest.store.models.root / ALLOCATOR / before / "policy.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    key = f"{ALLOCATOR}|{WEEKS[-1]}"  # decided while all was whole: nobody else decides it over again
    with pytest.raises(AllocatorError, match=f"{before} is refused"):
        falling.materialize(("target_weights",), key, key)
    path.write_bytes(whole)
