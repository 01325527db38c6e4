"""A BERT of a few thousand weights, built on the spot: it has the shape of FinBERT and no opinion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WORDS = [
    "apple",
    "profit",
    "loss",
    "grows",
    "falls",
    "the",
    "a",
    "of",
    "and",
    "strong",
    "weak",
    "beats",
    "misses",
    "shares",
    "up",
    "down",
]


def save_tiny_bert(folder: Path, labels: Sequence[str] = ("positive", "negative", "neutral"), seed: int = 0) -> Path:
    """Write a model with random weights and a tokeniser of a few words."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        initializer_range=0.5,  # so that scores differ
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder
