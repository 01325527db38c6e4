"""What the badge is needed for."""

from __future__ import annotations

import itertools

import pytest

from allocator_pipeline.config import GateConfig
from allocator_pipeline.registry.gate import gated_outcome, served


@pytest.mark.parametrize(
    ("outcome", "first", "proven", "demanded"),
    list(itertools.product(["promoted", "kept", "insufficient"], [True, False], [True, False], [True, False])),
)
def test_a_promotion_needs_the_badge_only_where_it_is_demanded(outcome, first, proven, demanded):
    gate = GateConfig(proof_to_promote=demanded)
    found, reason = gated_outcome(outcome, "Why.", first=first, proven=proven, gate=gate)
    stopped = outcome == "promoted" and demanded and not first and not proven
    assert found == ("kept" if stopped else outcome)
    assert reason.startswith("Why.")
    assert ("not proven" in reason) == stopped


@pytest.mark.parametrize("reason", ["a test", "a test.", "a test "])
def test_a_reason_ends_before_the_gate_speaks(reason):
    _, told = gated_outcome("promoted", reason, first=False, proven=False, gate=GateConfig(proof_to_promote=True))
    assert told.startswith("a test. But it is not proven")


def test_without_the_badge_the_anchor_is_served_where_it_is_demanded():
    assert served("v1", proven=False, gate=GateConfig()) == "v1"
    assert served("v1", proven=True, gate=GateConfig(proof_to_serve=True)) == "v1"
    assert served("v1", proven=False, gate=GateConfig(proof_to_serve=True)) == "equal_weight"


def test_nothing_is_demanded_by_default():
    assert GateConfig() == GateConfig(proof_to_promote=False, proof_to_serve=False)
