"""Older weeks, both policies on the same ones; what is in sample is said."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from allocator_pipeline.allocators.baselines import EqualWeight
from allocator_pipeline.allocators.policy import Shrinkage
from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import CostConfig
from allocator_pipeline.evaluation import forgetting as module
from allocator_pipeline.evaluation.forgetting import forgetting
from allocator_pipeline.evaluation.metrics import metrics
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline_tests.evaluation.conftest import Tilted

COSTS = CostConfig()
TUNED = "2018-06-04"
CUTOFF = "2016-12-27"


@dataclass
class Shrunk(Tilted):
    """Some slots, of which a share is served, the rest being equal weight."""

    share: float = 1.0

    @property
    def shrinkage(self):
        return Shrinkage(share=self.share)

    def unshrunk(self):
        return Tilted(self.slots)

    def target_weights(self, observation):
        equal = EqualWeight(COSTS).target_weights(observation)
        return equal + self.share * (super().target_weights(observation) - equal)


def measured(states, first_tuned=TUNED, champion=(0, 1, 2), finetuned=(3, 4), share=1.0, cutoff=CUTOFF):
    both = (Shrunk(champion, share=share), Shrunk(finetuned, share=share))
    return forgetting(*both, states, first_tuned, cutoff, COSTS)


def test_both_walk_the_weeks_before_the_tuned_ones(states):
    found = measured(states)
    older = states.between(last="2018-05-28")
    assert (found["weeks"], found["first_week"], found["last_week"]) == (len(older), "2016-01-04", "2018-05-28")
    for name, slots in (("champion", (0, 1, 2)), ("finetuned", (3, 4))):
        run = simulate(Tilted(slots).target_weights, older, COSTS)
        expected = metrics(run.net, run.turnover)
        assert found[name] == {"sharpe": expected["sharpe"], "cagr": expected["cagr"]}
    assert found["difference"]["cagr"] == found["finetuned"]["cagr"] - found["champion"]["cagr"]
    assert json.loads(canonical_json(found)) == found


def test_what_is_in_sample_is_said(states):
    found = measured(states)
    assert found["in_sample"] == 51  # the last exit on or before 2016-12-27 is that of the week of 2016-12-19
    assert "51 of these weeks are in sample for both" in found["words"]
    assert re.search(r"less its champion's is [-+]\d\.\d\d \[[-+]\d\.\d\d,[-+]\d\.\d\d\] \(95 %\)", found["words"])


def test_weeks_that_the_champion_never_learnt_from_show_nothing_of_what_was_forgotten(states):
    found = measured(states, cutoff="2015-12-28")
    assert found["in_sample"] == 0
    assert "learnt from none of these weeks: this shows nothing of what was forgotten" in found["words"]
    assert "this shows what was forgotten" not in found["words"]


def test_where_nothing_is_served_the_unshrunk_policies_are_compared(states):
    whole, none = measured(states), measured(states, share=0.0)
    assert none["shares"] == {"champion": 0.0, "finetuned": 0.0}
    assert none["difference"] == {"sharpe": 0.0, "cagr": 0.0}
    assert none["unshrunk"] == {name: whole[name] for name in ("champion", "finetuned", "difference")}
    assert none["unshrunk"]["difference"]["sharpe"] != 0.0
    assert "nothing of either tilt is served, and both are equal weight; unshrunk, the difference" in none["words"]
    assert "less its champion's" not in none["words"]
    half = measured(states, share=0.5)
    assert half["unshrunk"] == none["unshrunk"]
    assert half["difference"] != half["unshrunk"]["difference"]


def test_equal_policies_have_forgotten_nothing(states):
    found = measured(states, finetuned=(0, 1, 2))
    assert found["difference"] == {"sharpe": 0.0, "cagr": 0.0}
    assert found["words"].count("none, since the two are equal in every week") == 2


def test_nothing_from_the_tuned_weeks_on_is_read(states):
    late = states.weeks >= np.datetime64(TUNED)
    blind = replace(states, returns=np.where(late[:, None], np.nan, states.returns))
    assert measured(blind) == measured(states)
    assert measured(states.between(last="2018-05-28")) == measured(states)


def test_the_walk_starts_behind_the_last_hole(states):
    holed = states[states.weeks != np.datetime64("2017-03-06")]
    assert measured(holed)["first_week"] == "2017-03-13"
    returns = states.returns.copy()
    returns[states.weeks == np.datetime64("2017-03-06"), 3] = np.nan
    assert measured(replace(states, returns=returns)) == measured(holed)
    late = states[states.weeks != np.datetime64("2018-05-28")]  # a hole right before the tuned weeks leaves nothing
    assert measured(late)["weeks"] == 0


def test_at_most_five_years_are_walked(states, monkeypatch):
    assert module.FORGETTING_WEEKS == 260
    monkeypatch.setattr(module, "FORGETTING_WEEKS", 40)
    assert measured(states)["weeks"] == 40
    assert measured(states)["last_week"] == "2018-05-28"


@pytest.mark.parametrize("first_tuned", ["2016-01-04", "2016-06-27"])
def test_too_few_older_weeks_are_said_to_be_few(states, first_tuned):
    found = measured(states, first_tuned)
    assert found["weeks"] < 26
    assert found["champion"] is found["difference"] is found["unshrunk"] is None
    assert "26 are needed" in found["words"]
    assert set(found) == set(measured(states))
