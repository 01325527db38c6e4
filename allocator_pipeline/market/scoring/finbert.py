"""FinBERT, or any other classifier of texts into positive, neutral and negative, from weights on this machine.

Nothing is downloaded and nothing that a model brings is executed: weights are safetensors, remote code stays off.

References
----------
Araci (2019), "FinBERT: Financial Sentiment Analysis with Pre-trained Language Models".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from allocator_pipeline.errors import ConfigurationError

LABELS = ("positive", "neutral", "negative")
ROWS = 16
"""Texts in a batch, always: a short one is filled up."""

LENGTHS = (32, 64, 128, 256, 512)
"""Tokens a text is padded to; longer ones are cut. With few fixed shapes a score does not depend on its neighbours."""

READ = (".json", ".txt", ".safetensors")
"""What is read of a model's folder, and hence hashed into the version."""


class FinBert:
    """A `Scorer` of P(positive) - P(negative).

    Parameters
    ----------
    model : str
        Folder with ``config.json``, the tokeniser's files and weights as safetensors; or the name of a model on the Hub
        whose files are in the local cache already.

    Raises
    ------
    ConfigurationError
        If transformers is not installed, there are no such weights, or they do not tell the three labels apart.
    """

    def __init__(self, model: str) -> None:
        folder = _folder(model)
        self.version = f"finbert-{_digest(folder)[:12]}"
        self._model, self._tokenizer, self._device = _loaded(folder)
        self._columns = _columns(self._model.config.id2label, folder)
        limits = (self._tokenizer.model_max_length, getattr(self._model.config, "max_position_embeddings", LENGTHS[-1]))
        self._lengths = [length for length in LENGTHS if length <= min(limits)] or [min(limits)]

    def score(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> np.ndarray:
        """Return the score of each text, in [-1, 1]."""
        shares = self.probabilities(texts, progress)
        return shares[:, 0] - shares[:, 2]

    def probabilities(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> np.ndarray:
        """Return the probabilities of `LABELS`, shape (n, 3), float64; batches are of texts of similar length."""
        tokens = [
            self._tokenizer(text, truncation=True, max_length=self._lengths[-1], verbose=False)["input_ids"]
            for text in texts
        ]
        order = sorted(range(len(texts)), key=lambda row: len(tokens[row]))
        shares = np.empty((len(texts), len(LABELS)))
        done, told = 0, 0
        for length in self._lengths:
            shorter = [row for row in order[done:] if len(tokens[row]) <= length]
            for start in range(0, len(shorter), ROWS):
                rows = shorter[start : start + ROWS]
                shares[rows] = self._batch([tokens[row] for row in rows], length)
                done += len(rows)
                if progress is not None and (done * 10 // len(texts) > told or done == len(texts)):
                    told = done * 10 // len(texts)
                    progress(f"{self.version}: {done:,} of {len(texts):,} texts")
        return shares

    def _batch(self, tokens: list[list[int]], length: int) -> np.ndarray:
        import torch

        pad = self._tokenizer.pad_token_id or 0
        filled = [*tokens, *[tokens[0]] * (ROWS - len(tokens))]
        ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in filled], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in filled], device=self._device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask).logits[: len(tokens)].double()
        shares = torch.softmax(logits, dim=-1).cpu().numpy()[:, self._columns]
        if not np.isfinite(shares).all():
            raise ConfigurationError(
                "The model's probabilities are not finite.", todo="use sound weights.", source=self.version
            )
        return shares


def _folder(model: str) -> Path:
    """Return where the files of a model are, and refuse weights that are not safetensors."""
    folder = _found(model) if model else None
    if folder is None or not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ConfigurationError(
            f"There is no FinBERT with weights as safetensors at {model[:100] or 'ALLOCATOR_FINBERT'}.",
            todo="set ALLOCATOR_FINBERT to a folder with config.json, tokeniser and model.safetensors "
            "(docs/sentiment.md), or choose the scorer vader.",
            source="finbert",
        )
    return folder


def _found(model: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(model).expanduser()
        return folder if folder.is_dir() else Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError, RuntimeError):
        return None


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in READ and path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _loaded(folder: Path) -> tuple[Any, Any, str]:
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise ConfigurationError(
            "FinBERT needs transformers, which is not installed.",
            todo="install it: pip install 'transformers>=5.23,<6'; or choose the scorer vader.",
            source="finbert",
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        if loading["missing_keys"] or loading["mismatched_keys"]:  # these would be drawn at random
            raise ValueError("weights are missing")
    except Exception as error:  # the library raises whatever its parts do
        raise ConfigurationError(
            f"The FinBERT at {folder} cannot be read ({type(error).__name__}).",
            todo="save it again with save_pretrained, or choose the scorer vader.",
            source="finbert",
        ) from error
    return model.eval().to(device), tokenizer, device


def _columns(names: dict[int, str], folder: Path) -> list[int]:
    """Return the column of each of `LABELS`, whatever order a model has them in."""
    found = {name.lower(): column for column, name in names.items()}
    if sorted(found) != sorted(LABELS) or len(names) != len(LABELS):
        raise ConfigurationError(
            f"The labels of the model at {folder} are {', '.join(map(str, names.values()))[:80]}.",
            todo=f"use one whose id2label has {', '.join(LABELS)}.",
            source="finbert",
        )
    return [found[label] for label in LABELS]
