"""Which scorer there is."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.news import vader_scores
from allocator_pipeline.market.scoring import base
from allocator_pipeline.market.scoring.base import open_scorer
from allocator_pipeline_tests.market.scoring.tiny_bert import save_tiny_bert


@pytest.mark.parametrize(("choice", "env"), [("auto", {}), ("auto", {"ALLOCATOR_FINBERT": ""}), ("vader", {})])
def test_without_weights_it_is_vader(choice, env):
    scorer = open_scorer(choice, env)
    texts = ["Great results, strong growth", "Terrible loss and fraud", ""]
    assert re.fullmatch(r"vader-[0-9a-f]{12}", scorer.version)
    np.testing.assert_array_equal(scorer.score(texts), vader_scores(texts))


def test_vader_is_chosen_though_there_are_weights(tmp_path):
    assert open_scorer("vader", {"ALLOCATOR_FINBERT": str(tmp_path)}).version.startswith("vader-")


def test_without_transformers_it_is_vader(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    assert open_scorer("auto", {"ALLOCATOR_FINBERT": str(tmp_path)}).version.startswith("vader-")


def test_vader_tells_how_far_it_is():
    told: list[str] = []
    assert open_scorer("vader", {}).score(["up"] * 2001, told.append).shape == (2001,)
    assert [message.split(": ")[1] for message in told] == ["2,000 of 2,001 texts", "2,001 of 2,001 texts"]
    assert open_scorer("vader", {}).score([]).shape == (0,)


def test_with_weights_it_is_finbert(tmp_path):
    pytest.importorskip("transformers", reason="FinBERT needs the extra finbert")
    folder = save_tiny_bert(tmp_path / "model")
    for choice in ("auto", "finbert"):
        assert open_scorer(choice, {"ALLOCATOR_FINBERT": str(folder)}).version.startswith("finbert-")


@pytest.mark.parametrize(
    "named", ["", "no/such-model", "/no/such/folder", "../..", "a\x00b", "x" * 300, "https://x.example"]
)
def test_finbert_without_weights_is_an_error(named):
    pytest.importorskip("transformers", reason="without transformers the error is another one")
    with pytest.raises(ConfigurationError, match="ALLOCATOR_FINBERT"):
        open_scorer("finbert", {"ALLOCATOR_FINBERT": named})
    if named:
        with pytest.raises(ConfigurationError):  # never quietly the other scorer
            open_scorer("auto", {"ALLOCATOR_FINBERT": named})


def test_finbert_without_transformers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigurationError, match="not installed"):
        open_scorer("finbert", {"ALLOCATOR_FINBERT": str(tmp_path)})


def test_another_choice_is_an_error():
    with pytest.raises(ConfigurationError, match="auto, finbert, vader"):
        open_scorer("bert", {})  # type: ignore[arg-type]
