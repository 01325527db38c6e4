"""Superior predictive ability and the model confidence set: their size, their power, ties."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocator_pipeline.errors import NotEnoughDataError, WeightsError
from allocator_pipeline.evaluation.superiority import confidence_set, superior_ability


def series(seed: int, count: int = 5, gain: float = 0.0, weeks: int = 260) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a market and others of the same true Sharpe ratio; the last one gains."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0.002, 0.02, weeks)
    own = rng.normal(0, 0.006, (count, weeks))
    scale = math.hypot(0.02, 0.006) / 0.02
    others = {f"s{n}": market + own[n] + 0.002 * (scale - 1) for n in range(count)}
    others[f"s{count - 1}"] = others[f"s{count - 1}"] + gain
    return market, others


def test_the_best_of_equals_is_hardly_ever_superior():
    p_values = np.array([superior_ability(*series(seed), draws=300)["p_value"] for seed in range(200)])
    assert np.mean(p_values <= 0.05) <= 0.10  # 5 %, and three standard errors
    assert np.mean(p_values <= 0.5) > 0.3  # nor does it never reject


def test_one_that_gains_is_superior():
    market, others = series(1, gain=0.002)
    found = superior_ability(market, others)
    assert found["p_value"] < 0.01
    assert found["lower"] <= found["p_value"] <= found["upper"]
    assert (found["best"], found["compared"]) == ("s4", 5)


def test_the_poor_do_not_hide_the_good():
    """Hansen's point: White's reality check loses power to bad alternatives, the consistent p-value does not."""
    market, others = series(2, gain=0.0012)
    poor = {f"poor{n}": other - 0.01 for n, other in enumerate(series(3, 30)[1].values())}
    with_poor = superior_ability(market, others | poor)
    assert with_poor["p_value"] <= superior_ability(market, others)["p_value"] + 0.01
    assert with_poor["p_value"] < with_poor["upper"]


def test_a_tie_is_not_superior():
    market, others = series(4)
    only = superior_ability(market, {"copy": market, "again": market})
    assert (only["p_value"], only["best"], only["compared"], only["ties"]) == (1.0, "copy", 2, ["copy", "again"])
    alone, with_copy = superior_ability(market, others), superior_ability(market, others | {"copy": market})
    assert alone["ties"] == []
    assert with_copy == alone | {"compared": 6, "ties": ["copy"]}


def test_a_tie_is_better_than_what_is_below():
    market, others = series(4)
    poor = {"poor": others["s0"] - 0.004, "copy": market}
    found = superior_ability(market, poor)
    assert (found["best"], found["ties"], found["compared"]) == ("copy", ["copy"], 2)
    assert found["lower"] == found["p_value"] == found["upper"] == 1.0
    assert superior_ability(market, {"poor": poor["poor"]})["best"] == "poor"


def test_the_confidence_set_holds_the_best_and_excludes_the_poor():
    _, others = series(5)
    poor = {"poor": others["s0"] - 0.004}
    found = confidence_set(others | poor)
    assert "poor" not in found["included"]
    assert len(found["included"]) >= 3
    assert confidence_set({**others, "good": others["s0"] + 0.004})["included"] == ["good"]


def test_the_confidence_set_of_equals_rarely_lacks_one():
    missing = np.mean([len(confidence_set(series(seed, 3)[1], draws=200)["included"]) < 3 for seed in range(100)])
    assert missing <= 0.12


def test_equal_series_share_their_place():
    market, others = series(6)
    found = confidence_set({"market": market, "copy": market.copy(), **others})
    assert found["p_values"]["market"] == found["p_values"]["copy"]
    assert confidence_set({"a": market, "b": market})["included"] == ["a", "b"]
    assert confidence_set({"a": market})["p_values"] == {"a": 1.0}


@pytest.mark.parametrize("size", [1e-17, 1e-16, 1e-14, 1e-12])
def test_series_that_differ_by_rounding_share_their_place_too(size):
    market, others = series(6, gain=0.002)
    rounding = size * np.random.default_rng(0).normal(size=len(market))
    found = confidence_set({**others, "again": others["s4"] + rounding})
    assert found == confidence_set({**others, "again": others["s4"]})
    assert superior_ability(market, {"same": market + rounding})["p_value"] == 1.0


def test_equal_seeds_give_equal_results():
    market, others = series(7)
    assert superior_ability(market, others) == superior_ability(market, others)
    assert confidence_set(others) == confidence_set(others)


def test_what_cannot_be_compared_is_refused():
    market, others = series(8)
    with pytest.raises(NotEnoughDataError):
        superior_ability(market, {})
    with pytest.raises(NotEnoughDataError):
        confidence_set({})
    with pytest.raises(WeightsError):
        superior_ability(market, {"short": market[:-1]})
    with pytest.raises(NotEnoughDataError):
        superior_ability(market[:20], {name: other[:20] for name, other in others.items()})
