"""Scores of articles."""

import numpy as np
import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.news import generated_articles, uninformed_news, vader_scores


def test_vader_tells_good_from_bad():
    good, bad, plain = vader_scores(
        ["Great results, strong growth", "Terrible loss and fraud", "The firm met on Monday"]
    )

    assert good > 0.3
    assert bad < -0.3
    assert plain == 0
    assert vader_scores([]).shape == (0,)


def test_generated_scores_stay_in_range():
    days = calendar.sessions("2015-01-01", "2015-01-31")
    tone = np.full((len(days), 2), 10.0)
    news = generated_articles(days, ["A", "B"], tone, np.zeros_like(tone), np.zeros_like(tone))

    assert (news["score"] == 1).all()
    assert news["article_id"].is_unique
    assert len(news) == 2 * len(days)


def test_the_beginning_of_a_year_does_not_depend_on_its_end():
    days = calendar.sessions("2015-01-01", "2015-12-31")
    whole, part = (uninformed_news(some, ["A", "B", "C"], 1, 2015) for some in (days, days[:50]))

    pd.testing.assert_frame_equal(part, whole.iloc[: len(part)])


def test_no_session_gives_an_empty_table():
    assert uninformed_news(calendar.sessions("2015-01-01", "2015-01-01"), ["A"], 1, 2015).empty
