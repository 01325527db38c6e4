"""Articles: which are repeats, sums by day, VADER's scores, and generated ones for the markets without news."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.market.source import NEW_YORK
from allocator_pipeline.schemas import DAILY_SENTIMENT, SENTIMENT, validate

SIMULATED = "simulated"
VADER = "vader"

TONE_SCALE, ARTICLE_NOISE = 0.25, 0.10
"""Score of a generated article: scale times tone plus noise, so that clipping at -1 and 1 is rare."""

_FIRST_SECOND, _SECONDS = 10 * 3600, 6 * 3600 + 3000
"""Generated articles appear between 10:00 and 16:50 UTC, before the close of even the shortest session (17:00 UTC)."""


REPEATED_WITHIN = pd.Timedelta(days=7)
"""The same words about the same symbol count again only after so long a silence: agencies repeat each other."""


def first_tellings(articles: pd.DataFrame) -> pd.DataFrame:
    """Leave out articles whose text repeats another of the same symbol, published at most seven days before.

    Only earlier articles decide, so that nothing known later changes what was there.

    Parameters
    ----------
    articles : DataFrame
        `schemas.ARTICLES`, or its columns among others.

    Returns
    -------
    DataFrame
        Its first tellings, in the same order.
    """
    ordered = articles.sort_values(["published_at", "article_id"])
    silence = ordered.groupby(["symbol", "text"], sort=False)["published_at"].diff()
    first = (silence.isna() | (silence > REPEATED_WITHIN)).reindex(articles.index)
    return articles[first.to_numpy(dtype=bool)].reset_index(drop=True)


def daily_sentiment(sentiment: pd.DataFrame) -> pd.DataFrame:
    """Return what the articles of each symbol and day in New York said on average.

    For eyes and exports: the weekly signal reads single articles, each with its own age.

    Parameters
    ----------
    sentiment : DataFrame
        `schemas.SENTIMENT`.

    Returns
    -------
    DataFrame
        `schemas.DAILY_SENTIMENT`. Scorers that scored articles of the same day stand beside each other, with ``+``.
    """
    days = sentiment["published_at"].dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
    table = (
        sentiment.assign(date=days.astype("datetime64[us]"))
        .groupby(["date", "symbol"], as_index=False)
        .agg(
            articles=("score", "size"),
            score=("score", "mean"),
            lowest=("score", "min"),
            highest=("score", "max"),
            known_at=("published_at", "max"),
            scorer=("scorer", lambda names: "+".join(sorted(set(names)))),
        )
    )
    table["score"] = table["score"].clip(table["lowest"], table["highest"])  # a mean may round out of its range
    return validate(table.astype({"articles": "int64", "scorer": "str"}), DAILY_SENTIMENT, "daily sentiment")


@lru_cache(maxsize=1)
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def vader_scores(texts: Sequence[str]) -> np.ndarray:
    """Score texts by VADER: the share of positive words minus the share of negative ones.

    Parameters
    ----------
    texts : sequence of str, length n

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]; 0 for a text without a word of the lexicon.

    References
    ----------
    Hutto and Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text".
    """
    analyser = _analyser()
    shares = [analyser.polarity_scores(text) for text in texts]
    return np.array([share["pos"] - share["neg"] for share in shares], dtype=np.float64)


def vader_compounds(texts: Sequence[str]) -> np.ndarray:
    """Return VADER's compound scores, in [-1, 1]: sums of valences, normalised. Only to compare with; no signal."""
    analyser = _analyser()
    return np.array([analyser.polarity_scores(text)["compound"] for text in texts], dtype=np.float64)


def generated_articles(
    sessions: pd.DatetimeIndex, symbols: Sequence[str], tone: np.ndarray, noise: np.ndarray, moment: np.ndarray
) -> pd.DataFrame:
    """Return one generated article for each session and symbol.

    Parameters
    ----------
    sessions : DatetimeIndex, length T
    symbols : sequence of str, length N
    tone : ndarray, shape (T, N)
        Mean tone, in standard deviations.
    noise : ndarray, shape (T, N)
        Standard normal noise of each article.
    moment : ndarray, shape (T, N)
        Uniform on [0, 1): when on the day the article appears, always before the close.

    Returns
    -------
    DataFrame
        `schemas.SENTIMENT`, with scorer and source ``"simulated"``.
    """
    count, width = tone.shape
    seconds = (_FIRST_SECOND + np.floor(moment * _SECONDS)).astype("timedelta64[s]")
    published = sessions.to_numpy().astype("datetime64[us]")[:, None] + seconds
    days = np.repeat(sessions.strftime("%Y%m%d").to_numpy(), width)
    names = np.tile(np.asarray(symbols, dtype=object), count)
    table = pd.DataFrame(
        {
            "article_id": pd.Series("sim-" + names + "-" + days.astype(object), dtype="str"),
            "symbol": pd.Series(names, dtype="str"),
            "published_at": pd.DatetimeIndex(published.ravel()).tz_localize("UTC"),
            "score": np.clip(TONE_SCALE * tone + ARTICLE_NOISE * noise, -1.0, 1.0).ravel(),
            "scorer": pd.Series(SIMULATED, index=range(count * width), dtype="str"),
            "source": pd.Series(SIMULATED, index=range(count * width), dtype="str"),
        }
    )
    table = table.sort_values(["published_at", "symbol", "article_id"], ignore_index=True)
    return validate(table, SENTIMENT, SIMULATED)


def uninformed_news(sessions: pd.DatetimeIndex, symbols: Sequence[str], seed: int, year: int) -> pd.DataFrame:
    """Return generated articles of one year that know nothing of any return.

    The tone of a stock is a first-order autoregression over sessions, drawn from the seed and the year alone.

    Parameters
    ----------
    sessions : DatetimeIndex, length T
        Sessions of the year; fewer of them give the first rows of the same draw.
    symbols : sequence of str, length N
    seed, year : int

    Returns
    -------
    DataFrame
        `schemas.SENTIMENT`.
    """
    shape = (len(sessions), len(symbols))
    memory = 0.95  # by session: a tone lasts about a month
    generator = np.random.default_rng([seed, year, 1])
    draws = generator.standard_normal((*shape, 2))
    moment = np.random.default_rng([seed, year, 2]).random(shape)
    tone = np.empty(shape)
    for t in range(shape[0]):
        tone[t] = draws[t, :, 0] if t == 0 else memory * tone[t - 1] + np.sqrt(1 - memory**2) * draws[t, :, 0]
    return generated_articles(sessions, symbols, tone, draws[..., 1], moment)
