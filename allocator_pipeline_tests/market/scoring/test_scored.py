"""Articles become scores once, also when it is interrupted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.market.news import daily_sentiment
from allocator_pipeline.market.scoring import scored as module
from allocator_pipeline.market.scoring.base import open_scorer
from allocator_pipeline.market.scoring.cache import ScoreCache
from allocator_pipeline.market.scoring.scored import scored


class Counting:
    """Scores by length, and remembers what it was asked; may stop in the middle."""

    version = "counting-1"

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.stop_after = stop_after

    def score(self, texts: Sequence[str], progress=None) -> np.ndarray:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += texts
        return np.array([len(text) % 7 / 7 - 0.4 for text in texts])


def articles(count: int, texts: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "article_id": pd.Series([str(number) for number in range(count)], dtype="str"),
            "symbol": pd.Series(["BBB" if number % 2 else "AAA" for number in range(count)], dtype="str"),
            "published_at": pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC").as_unit("us")[::-1],
            "text": pd.Series(["word " * (number % texts + 1) for number in range(count)], dtype="str"),
            "source": pd.Series("alpaca", index=range(count), dtype="str"),
        }
    )


def test_each_text_is_scored_once(tmp_path):
    scorer, cache = Counting(), ScoreCache(tmp_path / "scores.sqlite")
    table = scored(articles(30, 11), scorer, cache)
    assert sorted(scorer.asked) == sorted({"word " * number for number in range(1, 12)})
    assert table["published_at"].is_monotonic_increasing
    assert set(table["scorer"]) == {"counting-1"}
    again = scored(articles(30, 11), scorer, cache)
    assert len(scorer.asked) == 11
    pd.testing.assert_frame_equal(again, table)


def test_another_scorer_scores_anew(tmp_path):
    cache = ScoreCache(tmp_path / "scores.sqlite")
    scored(articles(5, 5), Counting(), cache)
    table = scored(articles(5, 5), open_scorer("vader", {}), cache)
    assert table["scorer"].str.startswith("vader-").all()
    assert (table["score"] == 0).all()


def test_an_interrupted_scoring_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 4)
    whole = scored(articles(40, 23), Counting(), ScoreCache(tmp_path / "whole.sqlite"))
    first, cache = Counting(stop_after=8), ScoreCache(tmp_path / "scores.sqlite")
    with pytest.raises(KeyboardInterrupt):
        scored(articles(40, 23), first, cache)
    second, told = Counting(), []
    table = scored(articles(40, 23), second, cache, told.append)
    assert len(first.asked) == 8
    assert len(second.asked) == 15
    assert told[-1] == "scored 15 of 15 new texts; 23 in all"
    pd.testing.assert_frame_equal(table, whole)


def test_no_article_is_no_score(tmp_path):
    assert scored(articles(0, 1), Counting(), ScoreCache(tmp_path / "scores.sqlite")).empty


def test_a_day_in_new_york_is_the_mean_of_its_articles(tmp_path):
    table = scored(articles(48, 48), Counting(), ScoreCache(tmp_path / "scores.sqlite"))
    daily = daily_sentiment(table)
    local = table["published_at"].dt.tz_convert("America/New_York")
    assert daily["date"].dt.strftime("%Y-%m-%d").unique().tolist() == ["2023-12-31", "2024-01-01", "2024-01-02"]
    for row in daily.itertuples():
        of_day = table[(local.dt.date == row.date.date()) & (table["symbol"] == row.symbol)]
        assert row.articles == len(of_day)
        assert row.score == pytest.approx(of_day["score"].mean(), abs=1e-15)
        assert row.known_at == of_day["published_at"].max()
    assert daily["articles"].sum() == 48
    assert daily_sentiment(table.iloc[:0]).empty
