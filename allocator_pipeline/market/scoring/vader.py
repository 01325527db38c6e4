"""VADER: rules and a lexicon (Hutto and Gilbert 2014); needs no weights, and knows little of finance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from allocator_pipeline.market.news import VADER, vader_scores

_PIECE = 2_000


class Vader:
    """A `Scorer` of the share of positive words minus that of negative ones."""

    def __init__(self) -> None:
        self.version = _version()

    def score(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> np.ndarray:
        """Return the score of each text, in [-1, 1]."""
        scores = [np.empty(0)]
        for start in range(0, len(texts), _PIECE):
            scores.append(vader_scores(texts[start : start + _PIECE]))
            if progress is not None:
                progress(f"{self.version}: {min(start + _PIECE, len(texts)):,} of {len(texts):,} texts")
        return np.concatenate(scores)


@lru_cache(maxsize=1)
def _version() -> str:
    from vaderSentiment import vaderSentiment

    folder, digest = Path(vaderSentiment.__file__).parent, hashlib.sha256()
    for name in ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt"):
        digest.update((folder / name).read_bytes())
    return f"{VADER}-{digest.hexdigest()[:12]}"
