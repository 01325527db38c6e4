"""Articles become scores, each text once."""

from __future__ import annotations

import pandas as pd

from allocator_pipeline.atomic import sha256
from allocator_pipeline.market.scoring.base import Progress, Scorer
from allocator_pipeline.market.scoring.cache import ScoreCache
from allocator_pipeline.schemas import SENTIMENT, validate

PIECE = 2_048
"""Texts that are scored before their scores are stored: what an interruption may cost."""


def scored(articles: pd.DataFrame, scorer: Scorer, cache: ScoreCache, progress: Progress | None = None) -> pd.DataFrame:
    """Return articles with their scores; those scored before are not scored again.

    Parameters
    ----------
    articles : DataFrame
        `schemas.ARTICLES`, of one symbol or several.
    scorer : Scorer
    cache : ScoreCache
    progress : callable, optional
        Receives messages.

    Returns
    -------
    DataFrame
        `schemas.SENTIMENT`; its scorer is the scorer's version.

    Raises
    ------
    StorageError, CorruptArtifactError
        If the cache cannot be used.
    """
    keys = articles["text"].map(lambda text: sha256(text.encode()))
    known = cache.get(keys, scorer.version)
    texts = dict(zip(keys, articles["text"], strict=True))
    missing = [key for key in texts if key not in known]
    for start in range(0, len(missing), PIECE):
        piece = missing[start : start + PIECE]
        scores = scorer.score([texts[key] for key in piece], progress) + 0.0  # as the cache gives them back: no -0.0
        new = dict(zip(piece, scores.tolist(), strict=True))
        cache.put(new, scorer.version)
        known.update(new)
        if progress is not None:
            progress(f"scored {start + len(piece):,} of {len(missing):,} new texts; {len(texts):,} in all")
    table = pd.DataFrame(
        {
            "article_id": articles["article_id"],
            "symbol": articles["symbol"],
            "published_at": articles["published_at"],
            "score": keys.map(known).astype("float64"),
            "scorer": pd.Series(scorer.version, index=articles.index, dtype="str"),
            "source": articles["source"],
        }
    )
    table = table.sort_values(["published_at", "symbol", "article_id"], ignore_index=True)
    return validate(table, SENTIMENT, scorer.version)
