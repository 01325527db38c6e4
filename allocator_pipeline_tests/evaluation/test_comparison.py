"""The comparison of allocators on cases with known answers: noise, ties, a plain winner, too few weeks."""

from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest

from allocator_pipeline.errors import ConflictError, NotEnoughDataError
from allocator_pipeline.evaluation.comparison import NO_TRIES, duel, evaluation_summary, kept_duel
from allocator_pipeline.evaluation.comparison_words import duel_words
from allocator_pipeline.evaluation.ledoit_wolf import sharpe_test
from allocator_pipeline.evaluation.significance import sharpe_difference
from allocator_pipeline.market.calendar import weeks_of_year

WEEKS = [str(week.date()) for year in range(2011, 2019) for week in weeks_of_year(year)["week"]]


def series(net, role="baseline"):
    return {"role": role, "weekly": {"net": np.asarray(net).tolist()}}


def made_up(policy, unshrunk, baselines, seeds=(), weeks=WEEKS):
    """Return what the comparison reads of a summary."""
    return {
        "years": sorted({int(week[:4]) for week in weeks}),
        "weeks": list(weeks),
        "series": {
            "policy": series(policy, "candidate"),
            "unshrunk": series(unshrunk, "unshrunk"),
            **{name: series(net) for name, net in baselines.items()},
        },
        "recipes": {"walks": []},
        "seeds": {"unshrunk": [{"member": i, "net": np.asarray(net).tolist()} for i, net in enumerate(seeds)]},
    }


def market(weeks=418, seed=0):
    return np.random.default_rng(seed).normal(0.002, 0.02, weeks)


def noisy(net, seed, scale=0.004, gain=0.0):
    return net + np.random.default_rng([seed, 99]).normal(gain, scale, len(net))


@pytest.fixture(scope="module")
def summaries():
    """A tie, noise, and a recipe that earns four percent a week in a thousand more than anybody."""
    equal = market()
    baselines = {"equal_weight": equal, "hrp": noisy(equal, 7)}

    def one(policy, seed, gain=0.0):
        seeds = [noisy(equal, 10 * seed + i, gain=gain) for i in range(3)]
        return made_up(policy, np.mean(seeds, axis=0), baselines, seeds)

    return {
        "ppo_lstm": one(equal + 1e-15, 2),
        "sac_lstm": one(noisy(equal, 3), 4),
        "dpg_lstm": one(noisy(equal, 5, gain=0.004), 6, gain=0.004),
    }


@pytest.fixture(scope="module")
def compared(summaries):
    return evaluation_summary(summaries)


def pair_of(compared, allocator, baseline="equal_weight"):
    return next(row for row in compared["pairs"] if (row["allocator"], row["baseline"]) == (allocator, baseline))


def test_every_allocator_meets_every_baseline(compared):
    assert [(row["allocator"], row["baseline"]) for row in compared["pairs"]] == [
        (name, baseline) for name in ("ppo_lstm", "sac_lstm", "dpg_lstm") for baseline in ("equal_weight", "hrp")
    ]
    assert json.loads(json.dumps(compared)) == compared


def test_a_tie_is_said_to_be_one(compared):
    row = pair_of(compared, "ppo_lstm")
    assert row["verdict"] == "tie"
    assert (
        row["words"]
        == f"identical to equal weight in each of {len(WEEKS)} weeks: a tie, for none of its tilt was served"
    )
    assert row["bootstrap"]["low"] == row["bootstrap"]["high"] == 0.0
    assert row["bootstrap"]["p_value"] == row["ledoit_wolf"]["p_value"] == 1.0
    assert pair_of(compared, "ppo_lstm", "hrp")["verdict"] == "same"


def test_noise_is_not_distinguishable_and_says_so_with_interval_and_tries(compared):
    row = pair_of(compared, "sac_lstm")
    assert row["verdict"] == "same"
    item = row["bootstrap"]
    assert row["words"].startswith(
        f"not distinguishable from equal weight over {len(WEEKS)} weeks: Sharpe difference {item['estimate']:+.2f}, "
        f"95 % interval {item['low']:+.2f} to {item['high']:+.2f}, Ledoit-Wolf p "
    )
    assert row["words"].endswith("after 24 tries")


def test_the_tests_are_those_of_the_library(summaries, compared):
    row = pair_of(compared, "sac_lstm", "hrp")
    net, other = (np.array(summaries["sac_lstm"]["series"][name]["weekly"]["net"]) for name in ("policy", "hrp"))
    assert row["bootstrap"] == sharpe_difference(net, other)
    assert row["ledoit_wolf"] == sharpe_test(net, other)


def test_a_plain_winner_is_above_and_the_best_of_all(compared):
    for baseline in ("equal_weight", "hrp"):
        row = pair_of(compared, "dpg_lstm", baseline)
        assert row["verdict"] == "above"
        assert max(row["bootstrap"]["p_value"], row["ledoit_wolf"]["p_value"]) < 0.01
        assert compared["superiority"][baseline]["p_value"] < 0.01
        assert compared["superiority"][baseline]["best"] == "dpg_lstm"
    assert compared["confidence_set"]["included"] == ["dpg_lstm"]
    deflated = compared["deflated"]
    assert deflated["dpg_lstm"]["probability"] > 0.8
    assert deflated["dpg_lstm"]["trials"] == 24
    assert deflated["sac_lstm"]["probability"] < 0.6
    assert compared["overfitting"]["columns"] == 9
    assert compared["overfitting"]["probability"] < 0.1


def test_where_all_recipes_are_noise_choosing_is_luck():
    chances = []
    for seed in range(4):
        equal = market(seed=seed)
        seeds = [noisy(equal, 100 * seed + i, scale=0.02) for i in range(12)]
        one = made_up(seeds[0], seeds[1], {"equal_weight": equal}, seeds)
        chances.append(evaluation_summary({"ppo_lstm": one})["overfitting"]["probability"])
    assert 0.3 < np.mean(chances) < 0.8


def test_the_ledgers_count_rules_where_there_is_one(summaries, compared):
    assert compared["tries"] == NO_TRIES
    assert compared["trials"] == 24
    assert "after 24 tries (years judged; the ledger holds none yet)" in compared["words"][0]
    tries = {"count": 130, "sequence": 3, "position": 10, "by_allocator": {"ppo_lstm": 130}}
    many = evaluation_summary(summaries, tries)
    assert many["trials"] == many["deflated"]["sac_lstm"]["trials"] == 130
    assert many["deflated"]["sac_lstm"]["benchmark"] > compared["deflated"]["sac_lstm"]["benchmark"]
    assert "after 130 tries (recorded in the ledger)" in many["words"][0]
    assert pair_of(many, "sac_lstm")["words"].endswith("after 130 tries")


def test_seeds_count_as_tries_where_they_are_more(summaries):
    one = evaluation_summary({"sac_lstm": summaries["sac_lstm"]}, {**NO_TRIES, "count": 2})
    assert one["deflated"]["sac_lstm"]["trials"] == 3
    assert "Deflated for 3 tries, each seed counted as one: the probability" in "\n".join(one["words"])
    assert "each seed counted" not in "\n".join(evaluation_summary(summaries)["words"])


def test_choosing_is_among_whole_recipes_where_they_exist(summaries, compared):
    assert compared["overfitting"]["whole_recipes"] == []
    assert "9 recipes and seeds (each member of an ensemble is one; unshrunk)" in "\n".join(compared["words"])
    whole = [{"unshrunk_net": noisy(market(), 50 + i).tolist()} for i in range(2)]
    changed = {**summaries, "sac_lstm": {**summaries["sac_lstm"], "recipes": {"walks": whole}}}
    some = evaluation_summary(changed)
    assert (some["overfitting"]["columns"], some["overfitting"]["whole_recipes"]) == (8, ["sac_lstm"])
    assert "8 recipes and seeds (each seed of sac_lstm a whole recipe, elsewhere each member" in "\n".join(
        some["words"]
    )
    assert some["deflated"] == compared["deflated"]
    alone = evaluation_summary({"sac_lstm": changed["sac_lstm"]})
    assert "2 recipes and seeds (each seed a whole recipe; unshrunk)" in "\n".join(alone["words"])


def test_the_words_hold_no_number_without_its_interval_tries_and_baselines(compared):
    words = "\n".join(compared["words"])
    assert "Against equal weight, Sharpe ratio less its own: " in words
    assert "identical in every week: ppo_lstm" in words
    assert "not distinguishable: sac_lstm (" in words
    assert "above by more than chance explains: dpg_lstm (" in words
    assert "95 % " in words
    assert "The best of 3 (2 tested, 1 tie) is better than it by more than chance explains (SPA p " in words
    assert "The best of 3 is better than it by more than chance explains (SPA p " in words  # than HRP
    assert "at or below the median" in words
    assert "splits (56 % is pure luck)." in words  # of nine columns
    assert "comparisons at 95 % (1 is a tie): if nothing differed at all" in words
    assert "Deflated for 24 tries" in words
    assert "model confidence set, 95 %" in words


def test_only_the_weeks_that_all_share_are_compared(summaries):
    changed = copy.deepcopy(summaries)
    late = changed["sac_lstm"]
    late["weeks"] = late["weeks"][100:]
    for one in [*late["series"].values()]:
        one["weekly"]["net"] = one["weekly"]["net"][100:]
    for one in late["seeds"]["unshrunk"]:
        one["net"] = one["net"][100:]
    compared = evaluation_summary(changed)
    assert compared["first_week"] == WEEKS[100]
    assert compared["weeks"] == len(WEEKS) - 100
    net, other = (
        np.array(summaries["dpg_lstm"]["series"][name]["weekly"]["net"])[100:] for name in ("policy", "equal_weight")
    )
    assert pair_of(compared, "dpg_lstm")["bootstrap"] == sharpe_difference(net, other)


def test_too_few_weeks_have_neither_tests_nor_verdicts():
    equal = market(20)
    one = made_up(noisy(equal, 1), noisy(equal, 2), {"equal_weight": equal}, [noisy(equal, 3)] * 2, WEEKS[:20])
    compared = evaluation_summary({"ppo_lstm": one})
    row = compared["pairs"][0]
    assert (row["bootstrap"], row["ledoit_wolf"], row["verdict"]) == (None, None, "unknown")
    assert row["words"].startswith("too few weeks to compare with equal weight over 20 weeks, after 1 try")
    assert compared["deflated"] is compared["overfitting"] is compared["confidence_set"] is None
    assert compared["superiority"] == {}
    assert "too few weeks to compare: ppo_lstm" in "\n".join(compared["words"])


def test_nothing_to_compare_is_an_error(summaries):
    with pytest.raises(NotEnoughDataError, match="no summary"):
        evaluation_summary({})
    apart = copy.deepcopy(summaries)
    apart["sac_lstm"]["weeks"] = [f"1999-{i:05d}" for i in range(len(WEEKS))]
    with pytest.raises(NotEnoughDataError, match="same weeks"):
        evaluation_summary(apart)
    other = copy.deepcopy(summaries)
    del other["sac_lstm"]["series"]["hrp"]
    with pytest.raises(ConflictError, match="different baselines"):
        evaluation_summary(other)


def test_a_duel_is_judged_alike_from_returns_and_from_kept_tests():
    champion = market(52)
    challenger = noisy(champion, 4)
    found = duel("ppo_lstm", "v2", "v1", challenger, champion, 12)
    assert found["verdict"] == "same"
    words = duel_words(found)
    assert words.startswith("not distinguishable from the champion over 52 weeks: Sharpe difference ")
    assert words.endswith(", after 12 tries")
    assert found["deflated"]["trials"] == 12
    lucky = f"luckiest of as many worthless tries with probability {100 * found['deflated']['probability']:.0f} %"
    assert lucky in words
    assert kept_duel("ppo_lstm", "v2", "v1", 52, 12, found) == found
    tie = duel("ppo_lstm", "v2", "v1", champion, champion, 12)
    assert duel_words(tie) == "identical to the champion in each of 52 weeks: a tie"
    assert kept_duel("ppo_lstm", "v2", "v1", 52, 12, tie) == tie


def test_duels_are_told_with_the_tries_of_their_own_time_and_no_other_number_of_tries(summaries):
    champion = market(52)
    tries = {**NO_TRIES, "count": 48}
    early = duel("ppo_lstm", "v2", "v1", noisy(champion, 4), champion, 3)
    found = evaluation_summary(summaries, tries, [early])["duels"][0]
    assert found["trials"] == found["deflated"]["trials"] == 3
    assert re.findall(r"(\d+) (?:worthless )?tr(?:y|ies)", found["words"]) == ["3"]


def test_equal_weight_is_deflated_beside_the_policies_that_are_no_better(summaries, compared):
    """A policy that is equal weight in every week shows no skill by a probability that equal weight has as well."""
    deflated = compared["deflated"]
    assert list(deflated) == ["ppo_lstm", "sac_lstm", "dpg_lstm", "equal_weight"]
    assert deflated["equal_weight"]["probability"] == pytest.approx(deflated["ppo_lstm"]["probability"])
    assert deflated["equal_weight"]["benchmark"] == deflated["ppo_lstm"]["benchmark"]
    assert "threshold" not in deflated["ppo_lstm"]  # that of a gain over a rival is another number
    (told,) = [sentence for sentence in compared["words"] if sentence.startswith("Deflated")]
    assert f"equal weight {100 * deflated['equal_weight']['probability']:.0f} %" in told
    assert "without any skill, of which only the differences to the baselines speak" in told


def test_the_best_of_ties_and_of_what_is_below_is_a_tie():
    equal = market()
    ties = {name: made_up(equal, noisy(equal, 2), {"equal_weight": equal}, [noisy(equal, 3)] * 2) for name in "ab"}
    below = made_up(noisy(equal, 5, gain=-0.001), noisy(equal, 6), {"equal_weight": equal}, [noisy(equal, 7)] * 2)
    found = evaluation_summary({**ties, "c": below})
    test = found["superiority"]["equal_weight"]
    assert (test["best"], test["ties"], test["p_value"]) == ("a", ["a", "b"], 1.0)
    words = "\n".join(found["words"])
    assert "None of 3 is above it (1 tested, 2 ties)." in words
    above = made_up(noisy(equal, 5, gain=0.004), noisy(equal, 6), {"equal_weight": equal}, [noisy(equal, 7)] * 2)
    words = "\n".join(evaluation_summary({**ties, "c": above})["words"])
    assert "The best of 3 (1 tested, 2 ties) is better than it by more than chance explains (SPA p " in words
    assert "SPA" not in "\n".join(evaluation_summary(ties)["words"])


def test_what_has_the_same_returns_is_tested_once(summaries):
    twice = {**summaries, "sac_patchtst": copy.deepcopy(summaries["sac_lstm"])}
    found, words = evaluation_summary(twice), "\n".join(evaluation_summary(twice)["words"])
    once = "\n".join(evaluation_summary(summaries)["words"])
    assert found["alike"] == {**{name: name for name in summaries}, "sac_patchtst": "sac_lstm"}
    count = re.search(r"in (\d+ comparisons at 95 %)", once)[1]
    assert f"in {count} (" in words
    assert "more repeat another's returns, 1 is a tie): if nothing" in words
