"""The weekly report through the store and Dagster: what it gathers, as of when, and its way into the mail."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import ALLOCATORS, CASH, STATE_FORECASTERS, Settings, SimulatedConfig
from allocator_pipeline.defs.account import account_week
from allocator_pipeline.defs.assets.weekly_report import DELIVERED, weekly_report_assets
from allocator_pipeline.defs.build import partitions_of
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline.defs.weekly_report import weekly_facts, weekly_value, write_weekly
from allocator_pipeline.defs.weekly_warnings import failed_checks
from allocator_pipeline.experience.records import Label
from allocator_pipeline.features.signals import MIN_ARTICLES
from allocator_pipeline.market import calendar
from allocator_pipeline_tests.account.market import ALLOCATOR, make_decision
from allocator_pipeline_tests.delivery.conftest import server, settings_of  # noqa: F401 - fixtures
from allocator_pipeline_tests.evaluation.conftest import year_of_states
from allocator_pipeline_tests.experience.damage import damage
from allocator_pipeline_tests.registry.conftest import make_ruling

STOCKS = tuple(f"SIM{number:02d}" for number in range(15))
TARGET = {**dict.fromkeys(STOCKS, 0.06), CASH: 0.1}
WEEKS = ("2018-11-05", "2018-11-12", "2018-11-19", "2018-11-26")
SETTINGS = Settings(
    market="simulated",
    min_training_years=3,
    simulated=SimulatedConfig(start=pd.Timestamp("2009-01-01").date(), end=pd.Timestamp("2018-12-31").date()),
)


@pytest.fixture(scope="module")
def prices():
    return MarketResource.of(SETTINGS).source.prices(2018)


@pytest.fixture
def market(tmp_path) -> MarketResource:
    return MarketResource.of(replace(SETTINGS, data_dir=tmp_path))


@pytest.fixture
def store(tmp_path, market, prices) -> StoreResource:
    """Return a store of four decided weeks, of which the first two are booked and labelled."""
    made = StoreResource(root=str(tmp_path / "simulated"))
    made.assets.write("prices", "2018", prices)
    before = None
    for week in WEEKS:
        source = {"source": "cash"} if before is None else {"source": "paper", "run_id": before}
        decision = make_decision(week, TARGET, {**source, "holdings": {CASH: 1.0}})
        made.experience.record_decision(decision)
        before = decision.run_id
    for week in WEEKS[:2]:
        label_of(week, made, market)
    return made


def label_of(week: str, store: StoreResource, market: MarketResource, net: float = 0.01) -> None:
    run = f"paper:{week}:{ALLOCATOR}"
    booking = account_week(f"{ALLOCATOR}|{week}", run, store, market)["booking"]
    label = Label(booking["actual_weights"], [], 0.04, 4e-5, net, 1.0, TARGET, {"forecasts": {}}, "2018-12-01")
    store.experience.record_label(run, label)


def add_verdict(store: StoreResource, source: str, week: str) -> None:
    badge = {"verdict": "not_proven", "try": 1, "sequence": 1, "position": 1, "against": {}}
    log = store.verdicts(ALLOCATOR)
    log.append(make_ruling(source, week, evidence={"badge": badge}), after=len(log.history()))


def test_the_facts_of_a_week_and_what_is_not_there(store, market):
    add_verdict(store, "2017", "2018-01-08")
    facts = weekly_facts(WEEKS[3], store, market, ["A check failed."])
    assert (facts["decision_session"], facts["known_week"]) == ("2018-11-23", WEEKS[1])
    own, other = facts["allocators"][ALLOCATOR], facts["allocators"]["sac_lstm"]
    assert own["champion"]["version"] == own["champion_before"]
    assert own["decision"]["target"] == TARGET
    assert own["result"]["net"] == 0.01
    booked = store.account(ALLOCATOR).history()
    assert own["result"]["account_net"] == booked[1].net
    assert own["account"]["weeks"] == list(WEEKS[:2])
    assert own["account"]["growth"][-1] == pytest.approx((1 + booked[0].net) * (1 + booked[1].net))
    assert own["account"]["nav"] == booked[1].nav
    assert (other["champion"], other["decision"], other["account"], other["paper"]) == (None, None, None, None)
    assert other["result"] == {"status": "not_decided"}
    assert facts["rivals"]["weeks"] == list(WEEKS[:2])
    assert "materialise baseline_weights for hrp|2018" in facts["rivals"]["absent"]["hrp"]["target"]
    assert "no prices of SPY" in facts["rivals"]["absent"]["SPY"]["net"]
    assert facts["tries"] == 1
    assert facts["warnings"] == ["A check failed.", "The signals of 2018 are not made: materialise signals."]


def test_what_comes_later_does_not_change_the_report_of_a_week(store, market):
    add_verdict(store, "2017", "2018-01-08")
    before = canonical_json(weekly_facts(WEEKS[3], store, market, []))
    label_of(WEEKS[2], store, market)
    store.experience.record_decision(make_decision("2018-12-03", TARGET, {"source": "cash", "holdings": {CASH: 1.0}}))
    add_verdict(store, "late", "2018-12-03")
    assert canonical_json(weekly_facts(WEEKS[3], store, market, [])) == before
    later = weekly_facts("2018-12-03", store, market, [])
    assert later["known_week"] == WEEKS[2]
    assert [item["number"] for item in later["allocators"][ALLOCATOR]["verdicts"]] == [2]


def test_missing_labels_accounts_weeks_and_news_are_warned_of(store, market):
    days = [week for week in (WEEKS[3],) for _ in STOCKS]
    articles = [MIN_ARTICLES - 1, *[MIN_ARTICLES] * 14]
    store.assets.write(
        "signals", "2018", pd.DataFrame({"week": pd.to_datetime(days), "symbol": list(STOCKS), "articles": articles})
    )
    assert weekly_facts(WEEKS[3], store, market, [])["warnings"] == [
        "Insufficient news, fewer than 3 articles in 28 days, so that sentiment is missing: SIM00."
    ]
    later = "2018-12-31"
    told = weekly_facts(later, store, market, [])["warnings"]
    assert f"{ALLOCATOR} has no label of {WEEKS[2]}, which is due: materialise labeled_experience." in told
    assert f"{ALLOCATOR} did not decide the weeks of 2018-12-03, 2018-12-10, 2018-12-17." in told
    label_week = Label({}, [], 0.0, 0.0, 0.0, 0.0, {}, {"forecasts": {}}, "2018-12-01")
    store.experience.record_label(f"paper:{WEEKS[2]}:{ALLOCATOR}", label_week)
    told = weekly_facts(later, store, market, [])["warnings"]
    assert f"The paper account of {ALLOCATOR} has not booked the week of {WEEKS[2]}." in told


def test_an_index_fund_and_baselines_stand_beside_the_accounts(store, market, prices, monkeypatch):
    coverage = market.source.coverage()
    monkeypatch.setattr(market.source, "coverage", lambda: replace(coverage, symbols=(*coverage.symbols, "SPY")))
    store.assets.write("prices", "2018", prices.assign(symbol=prices["symbol"].replace("SIM19", "SPY")))
    table = pd.DataFrame({"week": pd.to_datetime([WEEKS[3]] * 2), "symbol": ["SIM00", CASH], "weight": [0.2, 0.8]})
    store.assets.write("baseline_weights", "hrp|2018", table)
    rivals = weekly_facts(WEEKS[3], store, market, [])["rivals"]
    assert rivals["target"]["hrp"] == {"SIM00": 0.2, CASH: 0.8}
    assert len(rivals["net"]["SPY"]) == 2
    own = prices[prices["symbol"] == "SIM19"].set_index("date")
    fill = own["open"] * own["adj_close"] / own["close"]
    wanted = 0.999 * fill[pd.Timestamp(WEEKS[2])] / fill[pd.Timestamp(WEEKS[0])]
    assert np.prod([1 + net for net in rivals["net"]["SPY"]]) == pytest.approx(wanted)


@pytest.fixture
def materialize(store, market, tmp_path):
    """Make the report of a week through a real instance."""

    def make(week: str = WEEKS[3], **config):
        (asset,) = weekly_report_assets(partitions_of(market.settings), [])
        with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
            return dg.materialize(
                [asset],
                instance=instance,
                partition_key=week,
                resources={"market": market, "store": store, "io_manager": dg.mem_io_manager},
                run_config={"ops": {"weekly_report": {"config": config}}},
            )

    return make


def delivered(result):
    (check,) = result.get_asset_check_evaluations()
    assert check.check_name == DELIVERED
    assert check.severity == dg.AssetCheckSeverity.WARN
    return check


def test_the_asset_writes_page_and_value_and_says_it_in_the_ui(store, market, materialize):
    result = materialize()
    value = result.output_for_node("weekly_report")[WEEKS[3]]
    page = Path(store.root) / value["file"]
    assert value["file"] == f"weekly/{WEEKS[3]}.html"
    facts = weekly_facts(WEEKS[3], store, market, [])
    assert canonical_json(value) == canonical_json(weekly_value(facts, page.read_text()))
    (event,) = result.asset_materializations_for_node("weekly_report")
    assert "1 of 6 allocators have decided" in event.metadata["words"].value
    assert "| SIM00 | 0.0600 |" in event.metadata["weights"].value
    assert event.metadata["value"].value.startswith("![value")
    assert event.metadata["delivery"].value == "not sent: ALLOCATOR_SMTP_HOST is not set"
    assert delivered(result).passed
    before = page.read_bytes()
    write_weekly(facts, store)
    assert page.read_bytes() == before


def test_a_report_goes_out_by_mail_and_a_failure_only_warns(server, settings_of, materialize, monkeypatch):  # noqa: F811
    mail = settings_of(server.start())
    for name, value in (
        ("HOST", mail.host), ("PORT", str(mail.port)), ("TLS", "none"), ("FROM", mail.sender), ("TO", "a@example.org"),
    ):  # fmt: skip
        monkeypatch.setenv(f"ALLOCATOR_SMTP_{name}", value)
    check = delivered(materialize())
    assert check.passed
    assert check.description == "sent to 1 recipient(s) by 127.0.0.1"
    (envelope,) = server.messages
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["Subject"] == f"Weekly report: {WEEKS[3]}"
    assert "In words" in message.get_body(("html",)).get_content()
    assert "asked not to" in delivered(materialize(send=False)).description
    monkeypatch.setenv("ALLOCATOR_SMTP_TO", "a@example.org, b@example.org")
    server.refused = {"b@example.org": "550 unknown"}
    assert delivered(materialize()).description == "sent to 1 recipient(s) by 127.0.0.1; 1 refused"
    assert not delivered(materialize()).passed, "one of two did not get it"
    server.refused, server.answers = {}, ["554 no"]
    sent = len(server.messages)
    result = materialize()
    assert result.success
    assert not delivered(result).passed
    assert delivered(result).description.startswith("failed: The report was not sent")
    assert len(server.messages) == sent


def test_a_damaged_allocator_is_named_and_the_others_are_shown(store, market, materialize):
    before = weekly_facts(WEEKS[3], store, market, [])
    log = store.verdicts("sac_lstm")
    log.append(make_ruling("2017", "2018-01-08"), after=0)
    path = log.folder / "000001.json"
    path.write_bytes(path.read_bytes().replace(b"first policy", b"<img policy>", 1))
    value = materialize().output_for_node("weekly_report")[WEEKS[3]]
    damaged = value["allocators"].pop("sac_lstm")
    assert "The verdicts on sac_lstm are not what was written" in damaged["damaged"]
    assert "What to do" in damaged["damaged"]
    del before["allocators"]["sac_lstm"]
    assert value["allocators"] == before["allocators"]
    assert value["rivals"] == before["rivals"]
    assert value["warnings"] == [*before["warnings"], f"sac_lstm is damaged: {damaged['damaged']}"]
    page = (Path(store.root) / value["file"]).read_text()
    assert "sac_lstm has no weights: what is stored of it is damaged. The verdicts on sac_lstm" in page
    assert "1 of 6 allocators have decided" in page


def test_a_damaged_row_of_experience_or_booking_leaves_the_page_to_the_others(store, market):
    (Path(store.root) / "accounts" / ALLOCATOR / "000001.json").write_bytes(b"{}")
    assert "damaged" in weekly_facts(WEEKS[3], store, market, [])["allocators"][ALLOCATOR]
    damage(store.experience, "decision = replace(decision, '0.06', '0.07') WHERE label IS NULL")
    facts = weekly_facts(WEEKS[3], store, market, [])
    assert [name for name, one in facts["allocators"].items() if "damaged" in one] == [ALLOCATOR]
    assert facts["rivals"]["weeks"] == [], "which begin with the first decision that can be read"
    assert f"{ALLOCATOR}: what is stored of it is damaged" in write_weekly(facts, store)[1]


def test_damaged_states_baselines_and_signals_are_named_and_left_out(store, market):
    weeks = calendar.weeks_of_year(2018)["week"]
    names = [*year_of_states(2018).symbols[0].tolist(), CASH]
    rows = [(week, slot, name, float(name == CASH)) for week in weeks for slot, name in enumerate(names)]
    table = pd.DataFrame(rows, columns=["week", "slot", "symbol", "weight"])
    for name in ("hrp", "random"):
        store.assets.write("baseline_weights", f"{name}|2018", table)
    for name in STATE_FORECASTERS:
        store.assets.write("state_tensors", f"{name}|2018", year_of_states(2018))
    signals = pd.DataFrame({"week": weeks, "symbol": "SIM00", "articles": MIN_ARTICLES})
    store.assets.write("signals", "2018", signals)
    whole = weekly_facts(WEEKS[3], store, market, [])["rivals"]
    assert set(whole["net"]) == {"hrp", "random"}
    hurt = [("state_tensors", f"{STATE_FORECASTERS[0]}|2018"), ("baseline_weights", "random|2018"), ("signals", "2018")]
    for asset, key in hurt:
        pointer = store.assets.pointer(asset, key)
        (payload,) = (path for path in pointer.parent.glob(f"{pointer.stem}.*") if path != pointer)
        payload.write_bytes(payload.read_bytes()[:-1] + b"?")
    facts = weekly_facts(WEEKS[3], store, market, [])
    assert facts["rivals"]["net"] == {"hrp": whole["net"]["hrp"]}
    assert "the sha256 differs" in facts["rivals"]["absent"]["random"]["target"]
    for asset, _ in hurt:
        assert sum(f"/{asset}/" in line for line in facts["warnings"]) == 1
    assert not any("damaged" in one for one in facts["allocators"].values())
    assert "the sha256 differs" in write_weekly(facts, store)[1]


def test_checks_that_did_not_pass_are_told_once_they_have_run(tmp_path):
    @dg.asset
    def table():
        return 1

    @dg.asset_check(asset=table)
    def whole():
        return dg.AssetCheckResult(passed=False, description="two rows are torn")

    @dg.asset_check(asset=table)
    def fresh():
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    @dg.asset_check(asset=table)
    def sane():
        return dg.AssetCheckResult(passed=True)

    keys = [dg.AssetCheckKey(dg.AssetKey("table"), name) for name in ("whole", "fresh", "sane", "never_ran")]
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        assert failed_checks(instance, keys) == []
        dg.materialize([table, whole, fresh, sane], instance=instance)
        assert failed_checks(instance, keys) == [
            "The check fresh of table warns.",
            "The check whole of table failed: two rows are torn",
        ]


def test_every_allocator_is_on_the_page_of_a_week(store, market):
    facts = weekly_facts(WEEKS[3], store, market, [])
    assert tuple(facts["allocators"]) == ALLOCATORS
    assert json.loads(json.dumps(facts)) == facts
    assert calendar.week(facts["known_week"])["exit_session"] <= pd.Timestamp(facts["decision_session"])
