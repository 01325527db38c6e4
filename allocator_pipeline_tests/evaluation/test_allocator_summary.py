"""The summary of an allocator: it repeats the report's numbers, and its seeds, placebos and ties are what they say."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.config import CASH
from allocator_pipeline.errors import MissingPartitionError, NotEnoughDataError
from allocator_pipeline.evaluation.placebo import least_p, placebo_p
from allocator_pipeline.evaluation.response import FEATURES
from allocator_pipeline.evaluation.summary_tables import placebo_words
from allocator_pipeline.evaluation.walk_forward import eval_report
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline_tests.evaluation.conftest import CONTEXT, VERSIONS, Tilted
from allocator_pipeline_tests.evaluation.policies import COSTS, made_up, summary_of

KEYS = (
    "format allocator years first_week last_week last_exit weeks costs market universe execution notes versions shares "
    "series recipes seeds placebo calendar rolling response weights"
)


@pytest.fixture(scope="module")
def summary(states):
    return summary_of(states)


def test_it_has_the_shape_that_the_page_reads(summary):
    assert set(summary) == set(KEYS.split())
    assert summary["years"] == [2016, 2017, 2018]
    assert summary["versions"]["2017"] == VERSIONS[2016]
    assert summary["shares"] == dict.fromkeys(("2016", "2017", "2018"), 0.5)
    assert {name: one["role"] for name, one in summary["series"].items()} == {
        "policy": "candidate",
        "unshrunk": "unshrunk",
        "equal_weight": "baseline",
        "hrp": "baseline",
    }
    count = len(summary["weeks"])
    for one in summary["series"].values():
        assert set(one) == {"role", "metrics", "cost_levels", "interval", "weekly"}
        assert {len(values) for values in one["weekly"].values()} == {count}
    assert len(summary["rolling"]["weeks"]) == len(summary["rolling"]["policy"]) == count - 51
    assert list(summary["weights"])[-1] == CASH
    assert json.loads(json.dumps(summary)) == summary


def test_its_walk_is_that_of_the_report(states, summary):
    report = eval_report(
        "ppo_lstm",
        2018,
        {y: (version, made_up(states, y)) for y, version in VERSIONS.items()},
        states,
        {"equal_weight": EqualWeight(COSTS), "hrp": Tilted((0, 2, 4, 6, 8, 10))},
        {},
        COSTS,
        CONTEXT,
    )
    for name in ("policy", "equal_weight", "hrp"):
        mine, theirs = summary["series"][name], report["walk_forward"]["series"][name]
        assert mine["metrics"] == theirs["metrics"]
        assert mine["cost_levels"] == theirs["cost_levels"]
        assert mine["interval"] == theirs["interval"]
        assert all(theirs["weekly"][item] == values for item, values in mine["weekly"].items())
    assert summary["weights"] == report["walk_forward"]["series"]["policy"]["weights"]


def test_equal_inputs_give_an_equal_summary(states, summary):
    assert summary_of(states) == summary


def test_members_walk_alone_and_share_is_what_shrinks_them(states, summary):
    seeds = summary["seeds"]
    assert [one["member"] for one in seeds["served"]] == [one["member"] for one in seeds["unshrunk"]] == [0, 1, 2]
    member = {year: made_up(states, year).member(1).unshrunk() for year in VERSIONS}
    run = simulate(lambda seen: member[seen.week.astype(object).year - 1].target_weights(seen), states[:104], COSTS)
    assert run.net.tolist() == pytest.approx(seeds["unshrunk"][1]["net"][:104], abs=1e-9)
    sharpe = [one["metrics"]["sharpe"] for one in seeds["unshrunk"]]
    assert seeds["unshrunk_spread"]["sharpe"] == pytest.approx(
        {"mean": np.mean(sharpe), "sd": np.std(sharpe, ddof=1), "min": min(sharpe), "max": max(sharpe)}
    )
    assert 0 < seeds["spread"]["sharpe"]["sd"] < seeds["unshrunk_spread"]["sharpe"]["sd"]


def test_without_replicates_it_names_what_to_materialise(summary):
    found = summary["recipes"]
    assert (found["walks"], found["spread"]) == ([], None)
    assert "materialise seed_policies of ppo_lstm|2015 to ppo_lstm|2017" in found["words"]


def test_whole_recipes_walk_as_their_own_policies_do_each_at_its_own_share(states, summary):
    def replicate(seed, share):
        return {y: (version, made_up(states, 10 * seed + y, share)) for y, version in VERSIONS.items()}

    found = summary_of(states, replicates={1: replicate(1, 0.0), 2: replicate(2, 1.0)})["recipes"]
    own, idle, bold = found["walks"]
    assert [walk["seed"] for walk in found["walks"]] == [None, 1, 2]
    assert own["net"] == summary["series"]["policy"]["weekly"]["net"]
    assert own["unshrunk_net"] == summary["series"]["unshrunk"]["weekly"]["net"]
    assert own["metrics"] == summary["series"]["policy"]["metrics"]
    assert idle["net"] == pytest.approx(summary["series"]["equal_weight"]["weekly"]["net"], abs=1e-12)
    assert bold["net"] == summary_of(states, seed=2, share=1.0)["series"]["policy"]["weekly"]["net"]
    assert (set(idle["shares"].values()), set(bold["shares"].values())) == ({0.0}, {1.0})
    sharpe = [walk["metrics"]["sharpe"] for walk in found["walks"]]
    assert found["spread"]["sharpe"] == pytest.approx(
        {"mean": np.mean(sharpe), "sd": np.std(sharpe, ddof=1), "min": min(sharpe), "max": max(sharpe), "n": 3}
    )
    assert "from 3 seeds (several, 1, 2)" in found["words"]
    assert "from 0 % to 100 %" in found["words"]


def test_a_replicate_that_lacks_a_year_is_refused(states):
    policies = {y: (VERSIONS[y], made_up(states, y)) for y in (2016, 2017)}
    with pytest.raises(MissingPartitionError, match=r"Seed 1 has not the policies of the judged years: \[2015\]"):
        summary_of(states, replicates={1: policies})


def test_a_tilt_of_which_nothing_is_served_ties_with_equal_weight(states):
    summary = summary_of(states, share=0.0)
    policy, equal = (summary["series"][name]["weekly"]["net"] for name in ("policy", "equal_weight"))
    assert policy == pytest.approx(equal, abs=1e-12)
    assert summary["series"]["unshrunk"]["weekly"]["net"] != pytest.approx(equal, abs=1e-3)
    real = summary["placebo"]["sharpe"]
    assert [row["sharpe"] for row in summary["placebo"]["draws"]] == pytest.approx([real] * 3)
    assert all(row["share"] == 0.0 for row in summary["calendar"])


def test_a_policy_that_lives_by_its_forecasts_loses_to_none_of_its_placebos(states):
    """Forecasts that know the return: the tilt follows them, and shuffling them takes all of it away."""
    knowing = dataclasses.replace(states, forecasts=np.log1p(states.returns))
    policies = {}
    for year, version in VERSIONS.items():
        policy = made_up(knowing, year)
        for name, values in policy.network.state_dict().items():
            values.zero_()
            if name.startswith("weight"):  # one path from the forecast to the tilt
                values[:, 7 if name == "weight.0" else 0, 0] = 1.0
        policies[year] = (version, policy)
    placebo = summary_of(knowing, policies=policies)["placebo"]
    assert placebo["share_above"] == 0.0
    assert placebo_p(placebo) == least_p(3) == 0.5
    assert placebo["unshrunk_sharpe"] > max(row["unshrunk_sharpe"] for row in placebo["draws"]) + 2.0
    assert placebo["sharpe"] > max(row["sharpe"] for row in placebo["draws"]) + 1.0


def test_a_policy_that_does_not_read_its_forecasts_ties_with_its_placebos(states):
    policies = {}
    for year, version in VERSIONS.items():
        policy = made_up(states, year)
        policy.network.actor["weight.0"][:, FEATURES.index("forecast")] = 0.0
        policies[year] = (version, policy)
    summary = summary_of(states, policies=policies)
    assert summary["placebo"]["share_above"] == 1.0
    assert placebo_p(summary["placebo"]) == 1.0
    assert "changes nothing in 3 draws: no policy reads them" in placebo_words(summary)


def test_years_with_a_gap_or_read_in_training_are_refused(states):
    policies = {year: (version, made_up(states, year)) for year, version in VERSIONS.items()}
    with pytest.raises(MissingPartitionError, match="consecutive years"):
        summary_of(states, policies={year: policies[year] for year in (2015, 2017)})
    with pytest.raises(NotEnoughDataError, match="was trained past"):
        summary_of(states, policies=policies | {2016: ("v2017-06-01-aaa", policies[2016][1])})
