"""FinBERT, with a tiny model built on the spot."""

from __future__ import annotations

import json
import pickle
import shutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="FinBERT needs the extra finbert")

import torch
from safetensors.torch import load_file, save_file

from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.scoring.finbert import LABELS, FinBert
from allocator_pipeline_tests.market.scoring.tiny_bert import WORDS, save_tiny_bert

GENERATOR = np.random.default_rng(5)
TEXTS = [" ".join(GENERATOR.choice(WORDS, GENERATOR.integers(1, 90))) for _ in range(70)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("finbert") / "model")


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def scorer(folder) -> FinBert:
    return FinBert(str(folder))


def test_a_score_is_positive_minus_negative(scorer, folder):
    """Against the library itself, one text at a time and without padding."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits = torch.cat([model(**tokenizer(t, return_tensors="pt", truncation=True)).logits for t in TEXTS])
    shares = torch.softmax(logits.double(), dim=-1).numpy()
    np.testing.assert_allclose(scorer.score(TEXTS), shares[:, 0] - shares[:, 1], atol=1e-6)
    assert np.abs(scorer.score(TEXTS)).max() <= 1
    assert scorer.score(TEXTS).std() > 0.05
    np.testing.assert_allclose(scorer.probabilities(TEXTS).sum(axis=1), 1, rtol=1e-12)


def test_a_score_depends_on_its_text_alone(scorer):
    """To the bit: whatever stands beside it, in whatever order, and in another process's model too."""
    whole = scorer.score(TEXTS)
    order = np.random.default_rng(1).permutation(len(TEXTS))
    np.testing.assert_array_equal(scorer.score([TEXTS[row] for row in order]), whole[order])
    np.testing.assert_array_equal([scorer.score([text])[0] for text in TEXTS[:20]], whole[:20])


@pytest.mark.parametrize("order", list(permutations(LABELS)))
def test_labels_may_come_in_any_order(copy, scorer, order):
    """The same columns under other names: what is called positive counts as positive."""
    config = json.loads((copy / "config.json").read_text())
    config["id2label"] = {str(column): label.title() for column, label in enumerate(order)}
    config["label2id"] = {label.title(): column for column, label in enumerate(order)}
    (copy / "config.json").write_text(json.dumps(config))
    columns = scorer.probabilities(TEXTS[:5])[:, [0, 2, 1]]  # as the model has them
    wanted = columns[:, order.index("positive")] - columns[:, order.index("negative")]
    np.testing.assert_allclose(FinBert(str(copy)).score(TEXTS[:5]), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "labels", [("LABEL_0", "LABEL_1", "LABEL_2"), ("positive", "negative"), ("up", "down", "flat")]
)
def test_other_labels_are_refused(tmp_path, labels):
    with pytest.raises(ConfigurationError, match="id2label"):
        FinBert(str(save_tiny_bert(tmp_path / "model", labels)))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_every_file_is_part_of_the_version(copy, scorer, name):
    assert FinBert(str(copy)).version == scorer.version
    if name == "model.safetensors":
        weights = load_file(copy / name)
        weights["classifier.bias"][0] += 1
        save_file(weights, copy / name, metadata={"format": "pt"})
    else:
        (copy / name).write_text((copy / name).read_text() + " ")
    assert FinBert(str(copy)).version != scorer.version


class Planted:
    """A pickle that leaves a mark where it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_no_pickle_is_read(copy, tmp_path, name):
    (copy / "model.safetensors").unlink()
    (copy / name).write_bytes(pickle.dumps(Planted(tmp_path / "marker")))
    with pytest.raises(ConfigurationError):
        FinBert(str(copy))
    assert not (tmp_path / "marker").exists()


def test_no_code_of_a_model_is_run(copy, tmp_path):
    config = json.loads((copy / "config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}}
    config["model_type"] = "evil"
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    with pytest.raises(ConfigurationError):
        FinBert(str(copy))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100]),
        lambda folder: save_file(
            {k: v for k, v in load_file(folder / "model.safetensors").items() if "classifier" not in k},
            folder / "model.safetensors",
            metadata={"format": "pt"},
        ),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "tokenizer.json").write_text("{"),
    ],
    ids=["empty", "cut", "without a head", "without a configuration", "no JSON", "no tokeniser"],
)
def test_spoilt_models_are_refused(copy, spoil):
    spoil(copy)
    with pytest.raises(ConfigurationError):
        FinBert(str(copy))


def test_weights_that_are_not_finite_are_seen(copy):
    weights = load_file(copy / "model.safetensors")
    weights["classifier.bias"][:] = float("nan")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match="finite"):
        FinBert(str(copy)).score(["up"])


def test_progress_goes_to_the_end(scorer):
    told: list[str] = []
    scorer.score(TEXTS, told.append)
    assert told[-1].endswith("70 of 70 texts")
    assert scorer.score([]).shape == (0,)
