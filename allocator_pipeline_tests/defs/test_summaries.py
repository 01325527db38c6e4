"""What the summaries read beside their inputs, from real stores: judged years, replicates, tries, duels."""

from __future__ import annotations

import numpy as np
import pytest

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.defs.models import reference
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.defs.summaries import duels_of, judged_policies, recipes_of, tries_of
from allocator_pipeline.defs.training import replicate_name, seen_as_replicates
from allocator_pipeline.errors import ConflictError, MissingPartitionError
from allocator_pipeline.evaluation.comparison import duel
from allocator_pipeline.market.calendar import weeks_of_year
from allocator_pipeline.registry.ledger import Try
from allocator_pipeline.registry.verdicts import Ruling
from allocator_pipeline_tests.evaluation.conftest import year_of_states
from allocator_pipeline_tests.evaluation.policies import made_up

WEEKS = [str(week.date()) for week in weeks_of_year(2021)["week"]]
RNG = np.random.default_rng(0)
CHAMPION = RNG.normal(0.002, 0.02, len(WEEKS))
CHALLENGER = CHAMPION + RNG.normal(0.0, 0.004, len(WEEKS))


@pytest.fixture
def store(tmp_path):
    return StoreResource(root=str(tmp_path))


def write_papers(store, weeks):
    for i, week in enumerate(weeks):
        sides = {"champion": ("v1", CHAMPION[i]), "challenger": (f"v2-{i:02d}-ft", CHALLENGER[i])}
        paper = {side: {"version": version, "net": float(net)} for side, (version, net) in sides.items()}
        store.assets.write("paper_evaluations", f"ppo_lstm|{week}", {"allocator": "ppo_lstm", "week": week, **paper})


def write_report(store, allocator, versions):
    year = max(versions)
    walk = {"years": sorted(versions), "versions": {str(one): version for one, version in versions.items()}}
    store.assets.write(
        "eval_reports", f"{allocator}|{year}", {"allocator": allocator, "year": year, "walk_forward": walk}
    )


def test_the_newest_report_says_which_policies_are_judged(store):
    keys = [f"{name}|{year}" for name in ("ppo_lstm", "sac_lstm") for year in (2019, 2020, 2021)]
    reports = Partitioned(store.assets, "eval_reports", keys)
    trained = {f"ppo_lstm|{year}": {"version": f"v{year}"} for year in (2018, 2019, 2020)}
    with pytest.raises(MissingPartitionError, match="no report of ppo_lstm"):
        judged_policies(reports, trained, "ppo_lstm")
    write_report(store, "ppo_lstm", {2019: "v2018"})
    write_report(store, "ppo_lstm", {2019: "v2018", 2020: "v2019"})
    write_report(store, "sac_lstm", {2021: "v2020"})
    assert judged_policies(reports, trained, "ppo_lstm") == {year: {"version": f"v{year}"} for year in (2018, 2019)}


def test_policies_trained_anew_are_not_looked_at_before_their_report_counts_as_a_try(store):
    reports = Partitioned(store.assets, "eval_reports", [f"dpg_lstm|{year}" for year in (2019, 2020, 2021)])
    trained = {f"dpg_lstm|{year}": {"version": f"v{year}"} for year in (2018, 2019, 2020)}
    write_report(store, "dpg_lstm", {2019: "v2018", 2020: "v2019", 2021: "v2020"})
    anew = {**trained, "dpg_lstm|2018": {"version": "v2018-7"}, "dpg_lstm|2019": {"version": "v2019-7"}}
    with pytest.raises(ConflictError, match=r"(?s)report of 2021 .*2019, 2020.*eval_reports of 2019, 2020, 2021 first"):
        judged_policies(reports, anew, "dpg_lstm")
    write_report(store, "dpg_lstm", {2019: "v2018-7"})  # that of an old year alone is not enough
    with pytest.raises(ConflictError, match="no try"):
        judged_policies(reports, anew, "dpg_lstm")
    write_report(store, "dpg_lstm", {2019: "v2018-7", 2020: "v2019-7", 2021: "v2020"})
    assert judged_policies(reports, anew, "dpg_lstm")[2018]["version"] == "v2018-7"
    store.assets.write("eval_reports", "dpg_lstm|2021", {"allocator": "dpg_lstm", "year": 2021, "walk_forward": {
        "years": [2019, 2020, 2021]}})  # fmt: skip
    with pytest.raises(ConflictError, match="no try"):  # one from before reports said it
        judged_policies(reports, trained, "dpg_lstm")


@pytest.fixture
def policy():
    return made_up(year_of_states(2019), 0)


def keep(store, policy, name, year, seed, data="a"):
    """Store a policy as the one that a recipe made of a year."""
    config = {"recipe": {"width": 8}, "seed": seed, "year": year}
    identity = Identity("policy", name, f"{year}-12-28", config, data * 64)
    store.models.save(Artifact(identity, policy.to_files(), {}))
    return reference(store.models.load(name, identity.version))


def test_replicates_count_where_they_differ_from_what_was_trained_in_nothing_but_the_seed(store, policy):
    years = (2019, 2020)
    trained = {year: keep(store, policy, "ppo_lstm", year, 42) for year in years}
    inputs = Partitioned(store.assets, "seed_policies", [f"ppo_lstm|{year}" for year in years])
    assert recipes_of(store, trained, inputs, "ppo_lstm") == (42, {})
    for year in years:
        seeds = {seed: keep(store, policy, replicate_name("ppo_lstm", seed), year, seed) for seed in (7, 1, 42)}
        seeds[3] = keep(store, policy, replicate_name("ppo_lstm", 3), year, 3, data="b")  # made of other states
        if year == 2020:
            del seeds[7]
        store.assets.write("seed_policies", f"ppo_lstm|{year}", {"seeds": {str(k): v for k, v in seeds.items()}})
    seed, found = recipes_of(store, trained, inputs, "ppo_lstm")
    assert seed == 42
    assert {number: list(policies) for number, policies in found.items()} == {1: [2019, 2020]}
    assert found[1][2019][0] != trained[2019]["version"]
    assert store.models.versions("ppo_lstm") == sorted(value["version"] for value in trained.values())
    mixed = {**trained, 2020: keep(store, policy, "ppo_lstm", 2020, 5)}
    assert recipes_of(store, mixed, inputs, "ppo_lstm")[0] is None


def test_a_policy_that_was_shown_as_a_replicate_is_told_from_one_that_was_not(store, policy):
    trained = {year: keep(store, policy, "dpg_lstm", year, 7) for year in (2018, 2019, 2020)}
    assert seen_as_replicates(store.models, trained) == []
    keep(store, policy, replicate_name("dpg_lstm", 7), 2019, 7)
    keep(store, policy, replicate_name("dpg_lstm", 7), 2018, 7, data="b")  # of other states
    keep(store, policy, replicate_name("dpg_lstm", 8), 2020, 8)  # of another seed
    assert seen_as_replicates(store.models, trained) == [2020]  # the policy of 2019 decides 2020


def test_tries_are_counted_by_allocator_and_in_their_sequence(store):
    assert tries_of(store.ledger.history()) == {"count": 0, "sequence": 0, "position": 0, "by_allocator": {}}
    for number, name in enumerate(["ppo_lstm", "sac_lstm", "ppo_lstm"]):
        rivals = {baseline: CHAMPION[:30].tolist() for baseline in ("hrp", "equal_weight")}
        net = (CHALLENGER[:30] + 1e-4 * number).tolist()
        store.ledger.record(Try(name, f"v{number}", "a" * 64, "b" * 64, WEEKS[40], WEEKS[:30], net, rivals))
    assert tries_of(store.ledger.history()) == {
        "count": 3,
        "sequence": 1,
        "position": 3,
        "by_allocator": {"ppo_lstm": 2, "sac_lstm": 1},
    }


def test_a_stream_of_paper_weeks_is_a_duel_once_it_is_long_enough(store):
    write_papers(store, WEEKS[:25])
    assert duels_of(store, ["ppo_lstm", "sac_lstm"]) == []
    write_papers(store, WEEKS[:30])
    (found,) = duels_of(store, ["ppo_lstm", "sac_lstm"])
    assert found == duel("ppo_lstm", "v2-29-ft", "v1", CHALLENGER[:30], CHAMPION[:30], 1)
    assert found["weeks"] == 30


def test_a_verdict_that_carries_its_tests_is_a_duel_and_one_that_does_not_is_none(store):
    tested = duel("ppo_lstm", "v2", "v1", CHALLENGER, CHAMPION, 5)
    tests = {name: tested[name] for name in ("bootstrap", "ledoit_wolf", "deflated")}
    log = store.verdicts("ppo_lstm")
    common = {"kind": "report", "reason": "x", "effective_week": WEEKS[0], "source": "report:ppo_lstm|2020"}
    for number, (candidate, prior, evidence) in enumerate(
        [
            ("v1", None, {}),
            ("v2", "v1", {"weeks": len(WEEKS), "badge": {"try": 5}, "duel": tests}),
            ("v3", "v1", {"duel": None}),
        ]
    ):
        outcome = "promoted" if prior is None else "kept"
        ruling = Ruling(
            candidate=candidate,
            prior=prior,
            outcome=outcome,
            source_sha256=f"{number}" * 64,
            evidence=evidence,
            **common,
        )
        assert log.append(ruling, number) is not None
    assert duels_of(store, ["ppo_lstm"]) == [tested]
