from __future__ import annotations

import dataclasses

import pytest

from allocator_pipeline.allocators.recipes import recipe
from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.studies.tuning import RULES, changed, judged, summary


def test_changes_of_a_recipe() -> None:
    base = recipe("dpg", "default")
    found = changed(base, "dpg", ["members=2", "hidden_sizes=[6, 5]", "activation=relu", "feature_penalty=1"])
    assert found == dataclasses.replace(base, members=2, hidden_sizes=(6, 5), activation="relu", feature_penalty=1.0)
    with pytest.raises(ConfigurationError, match="no 'layers'"):
        changed(base, "dpg", ["layers=2"])
    with pytest.raises(ConfigurationError, match="members is 'many'"):
        changed(base, "dpg", ["members=many"])


def test_a_policy_is_judged_with_every_rule() -> None:
    short = changed(recipe("dpg", "default"), "dpg", ["members=1", "folds=2", "n_envs=4", "total_steps=6240"])
    found = judged(short, 0.1, 1)
    assert set(found) == {"oracle", "unshrunk", "t", *RULES}
    assert found["t"] > 1.5
    assert found["t - 1/2"] == found["unshrunk"] > 0.3 * found["oracle"]
    assert found["1 - 1/t^2"] < found["unshrunk"]


def test_the_summary_pools_markets() -> None:
    row = {"oracle": 0.5, "t": 2.0, "unshrunk": 0.5, **dict.fromkeys(RULES, 0.25)}
    other = {**row, "oracle": 1.5, **dict.fromkeys(RULES, 1.5)}
    lines = summary([row, other], 0.05).splitlines()
    assert lines[0] == "median t 2.00, 2 markets"
    assert lines[2].endswith("pooled 0.875, median 0.750, worst 0.50")
    assert "null loss -0.8750 +- 0.6250" in summary([row, other], 0.0)
