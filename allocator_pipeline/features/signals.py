"""The seven weekly signals of each stock: news sentiment, five ratios and how old those are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from allocator_pipeline.config import N_STOCKS, RATIOS, SIGNALS
from allocator_pipeline.features.panel import known
from allocator_pipeline.market import calendar
from allocator_pipeline.schemas import SIGNALS_TABLE, validate

NEWS_DECAY_DAYS = 7.0
NEWS_WINDOW = pd.Timedelta(days=28)
MIN_ARTICLES = 3
"""Fewer articles than this in the window are no opinion."""

AGE_UNIT_DAYS, AGE_CAP = 90.0, 4.0
"""Ages count in quarters of 90 days and stop at four; a stock without fundamentals has the age of four."""

RATIOS_KEPT = pd.Timedelta(days=720)
"""Older ratios than this are missing. The two years before a year are read, so every week sees this far back."""


def weekly_signals(
    year: int,
    universe: pd.DataFrame,
    sentiment: pd.DataFrame,
    fundamentals: pd.DataFrame,
    last_session: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Return the signals of a year's 15 stocks at each weekly decision.

    Parameters
    ----------
    year : int
    universe : DataFrame
        `schemas.UNIVERSE` of the year.
    sentiment : DataFrame
        `schemas.SENTIMENT` of the year before and the year.
    fundamentals : DataFrame
        `schemas.FUNDAMENTALS` of the two years before and the year.
    last_session : Timestamp, optional
        Leave out the weeks decided after this session; by default every week of the year is there.

    Returns
    -------
    DataFrame
        `schemas.SIGNALS_TABLE`: 15 rows a week. ``news_sentiment`` is NaN with fewer than 3 articles in 28 days, a
        ratio is NaN where it is absent or older than 720 days, ``fundamental_age`` is never NaN.
    """
    weeks = calendar.weeks_of_year(year)
    if last_session is not None:
        weeks = weeks[weeks["decision_session"] <= pd.Timestamp(last_session)]
    symbols = universe.sort_values("slot")["symbol"].tolist()
    values = np.empty((len(weeks), N_STOCKS, len(SIGNALS)))
    articles = np.empty((len(weeks), N_STOCKS), dtype=np.int64)
    for row, decision_at in enumerate(weeks["decision_at"]):
        news = known(sentiment, decision_at, "published_at", since=NEWS_WINDOW)
        reports = known(fundamentals, decision_at, since=RATIOS_KEPT)
        values[row, :, 0], articles[row] = sentiment_scores(news, decision_at, symbols)
        values[row, :, 1:-1], values[row, :, -1] = latest_ratios(reports, decision_at, symbols)
    table = pd.DataFrame(
        {
            "week": np.repeat(weeks["week"].to_numpy(), N_STOCKS),
            "decision_at": weeks["decision_at"].repeat(N_STOCKS).reset_index(drop=True),
            "slot": np.tile(np.arange(N_STOCKS), len(weeks)),
            "symbol": pd.Series(symbols * len(weeks), dtype="str"),
            **{name: values[..., column].ravel() for column, name in enumerate(SIGNALS)},
            "articles": articles.ravel(),
        }
    )
    return validate(table, SIGNALS_TABLE, f"signals {year}")


def sentiment_scores(
    news: pd.DataFrame, decision_at: pd.Timestamp, symbols: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Average the known articles of each symbol: ``sum(w s) / sum(w)`` with ``w = exp(-age in days / 7)``.

    Parameters
    ----------
    news : DataFrame
        `schemas.SENTIMENT` rows known at the decision.
    decision_at : Timestamp
    symbols : list of str, length N

    Returns
    -------
    scores : ndarray of float64, shape (N,)
        NaN with fewer than 3 articles.
    articles : ndarray of int64, shape (N,)
        Articles of each symbol.
    """
    slots = pd.Index(symbols).get_indexer(pd.Index(news["symbol"]))
    here = slots >= 0
    age = _days(decision_at, news["published_at"])[here]
    weight = np.exp(-age / NEWS_DECAY_DAYS)
    total = np.bincount(slots[here], weights=weight, minlength=len(symbols))
    weighted = np.bincount(slots[here], weights=weight * news["score"].to_numpy()[here], minlength=len(symbols))
    articles = np.bincount(slots[here], minlength=len(symbols))
    scores = np.divide(weighted, total, out=np.full(len(symbols), np.nan), where=articles >= MIN_ARTICLES)
    return scores, articles


def latest_ratios(
    reports: pd.DataFrame, decision_at: pd.Timestamp, symbols: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Take the newest known quarter of each symbol; of a restated quarter, the newest statement.

    A comparative filed late repeats an old quarter, so the period decides before the filing date does.

    Parameters
    ----------
    reports : DataFrame
        `schemas.FUNDAMENTALS` rows known at the decision.
    decision_at : Timestamp
    symbols : list of str, length N

    Returns
    -------
    ratios : ndarray of float64, shape (N, 5)
        In the order of `config.RATIOS`; NaN where absent.
    age : ndarray of float64, shape (N,)
        Days since that statement became known, divided by 90, at most 4; 4 without any.
    """
    ordered = reports.sort_values(["period_end", "known_at"], kind="stable")
    slots = pd.Index(symbols).get_indexer(pd.Index(ordered["symbol"]))
    newest = np.full(len(symbols), -1)
    newest[slots[slots >= 0]] = np.flatnonzero(slots >= 0)  # the last of each symbol remains
    there = newest >= 0
    ratios, age = np.full((len(symbols), len(RATIOS)), np.nan), np.full(len(symbols), AGE_CAP)
    ratios[there] = ordered[list(RATIOS)].to_numpy(dtype=np.float64)[newest[there]]
    days = _days(decision_at, ordered["known_at"])
    age[there] = np.minimum(days[newest[there]] / AGE_UNIT_DAYS, AGE_CAP)
    return ratios, age


def _days(decision_at: pd.Timestamp, stamps: pd.Series) -> np.ndarray:
    """Return the days from each instant to the decision."""
    return (decision_at - stamps).dt.total_seconds().to_numpy(dtype=np.float64) / 86_400.0
