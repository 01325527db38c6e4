"""Weekly signals: by hand, from the known alone, and untouched by whatever becomes known later."""

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.atomic import table_bytes
from allocator_pipeline.config import RATIOS
from allocator_pipeline.features.signals import latest_ratios, sentiment_scores, weekly_signals
from allocator_pipeline.market import calendar

DECISION = pd.Timestamp("2017-03-03 21:01", tz="UTC")
DAY = pd.Timedelta(days=1)


def articles(symbol: str, ages: list[float], scores: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "article_id": [f"{symbol}-{i}" for i in range(len(ages))],
            "symbol": symbol,
            "published_at": [DECISION - age * DAY for age in ages],
            "score": scores,
            "scorer": "t",
            "source": "t",
        }
    )


def report(symbol: str, period: str, age: float, value: float) -> dict:
    return {
        "symbol": symbol,
        "period_end": pd.Timestamp(period),
        "known_at": DECISION - age * DAY,
        **dict.fromkeys(RATIOS, value),
        "source": "t",
    }


class TestSentiment:
    def test_by_hand(self):
        scores, count = sentiment_scores(articles("A", [0, 7, 14], [1.0, -1.0, 0.5]), DECISION, ["A"])
        weights = np.exp([0.0, -1.0, -2.0])

        assert scores[0] == pytest.approx(weights @ [1.0, -1.0, 0.5] / weights.sum(), abs=1e-12)
        assert count[0] == 3

    def test_fewer_than_three_articles_are_no_opinion(self):
        scores, count = sentiment_scores(articles("A", [1, 2], [1.0, 1.0]), DECISION, ["A", "B"])

        assert np.isnan(scores).all()
        assert count.tolist() == [2, 0]

    def test_symbols_outside_the_universe_do_not_count(self):
        news = pd.concat([articles("A", [1, 2, 3], [0.1, 0.1, 0.1]), articles("Z", [1, 2, 3], [1, 1, 1])])
        scores, count = sentiment_scores(news, DECISION, ["B", "A"])

        assert np.isnan(scores[0])
        assert scores[1] == pytest.approx(0.1)
        assert count.tolist() == [0, 3]


class TestRatios:
    def test_the_newest_quarter_and_its_age(self):
        reports = pd.DataFrame([report("A", "2016-09-30", 120, 1.0), report("A", "2016-12-31", 45, 2.0)])
        ratios, age = latest_ratios(reports, DECISION, ["A"])

        assert ratios.tolist() == [[2.0] * 5]
        assert age.tolist() == [0.5]

    def test_a_late_comparative_does_not_replace_a_newer_quarter(self):
        reports = pd.DataFrame([report("A", "2015-12-31", 1, 9.0), report("A", "2016-12-31", 45, 2.0)])

        assert latest_ratios(reports, DECISION, ["A"])[0][0, 0] == 2.0

    def test_a_restated_quarter_counts_as_restated(self):
        reports = pd.DataFrame([report("A", "2016-12-31", 45, 2.0), report("A", "2016-12-31", 9, 3.0)])
        ratios, age = latest_ratios(reports, DECISION, ["A"])

        assert ratios[0, 0] == 3.0
        assert age[0] == pytest.approx(0.1)

    def test_age_is_capped_and_absence_has_the_cap(self):
        ratios, age = latest_ratios(pd.DataFrame([report("A", "2015-12-31", 400, 1.0)]), DECISION, ["A", "B"])

        assert age.tolist() == [4.0, 4.0]
        assert ratios[0].tolist() == [1.0] * 5
        assert np.isnan(ratios[1]).all()


def test_a_year_covers_every_week_and_slot(tables):
    signals = weekly_signals(2017, tables.universe, tables.sentiment, tables.fundamentals)

    assert len(signals) == 52 * 15
    assert signals["symbol"].tolist() == tables.universe["symbol"].tolist() * 52
    assert signals.drop(columns=["week", "decision_at", "symbol"]).notna().all(axis=None)
    assert signals["fundamental_age"].between(0, 4).all()
    assert (signals["articles"] > 15).all()


def test_weeks_that_cannot_be_decided_yet_can_be_left_out(tables):
    some = weekly_signals(
        2017, tables.universe, tables.sentiment, tables.fundamentals, last_session=pd.Timestamp("2017-03-02")
    )
    whole = weekly_signals(2017, tables.universe, tables.sentiment, tables.fundamentals)

    assert some["week"].max() == pd.Timestamp("2017-02-27")
    pd.testing.assert_frame_equal(some, whole.iloc[: len(some)])
    none = weekly_signals(
        2017, tables.universe, tables.sentiment, tables.fundamentals, last_session=pd.Timestamp("2016-03-02")
    )
    assert none.empty


def test_no_news_and_no_fundamentals_is_all_missing(tables):
    signals = weekly_signals(2017, tables.universe, tables.sentiment.iloc[:0], tables.fundamentals.iloc[:0])

    assert signals[["news_sentiment", *RATIOS]].isna().all(axis=None)
    assert (signals["fundamental_age"] == 4).all()
    assert (signals["articles"] == 0).all()


def test_ratios_older_than_two_years_are_missing(tables):
    old = tables.fundamentals[tables.fundamentals["known_at"] < "2015-06-01"]
    signals = weekly_signals(2017, tables.universe, tables.sentiment, old)

    assert signals.loc[signals["week"] == "2017-01-02", "net_margin"].notna().all()
    assert signals.loc[signals["week"] == "2017-12-25", "net_margin"].isna().all()


def corrupt(tables, decision_at: pd.Timestamp, generator: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return news and fundamentals with everything known at or after a decision altered in some way."""
    news, reports = tables.sentiment.copy(), tables.fundamentals.copy()
    late, later = news["published_at"] >= decision_at, reports["known_at"] >= decision_at
    if generator.random() < 0.5:
        news.loc[late, "score"] = generator.uniform(-1, 1, late.sum())
        reports.loc[later, list(RATIOS)] = generator.normal(size=(later.sum(), len(RATIOS)))
    if generator.random() < 0.3:
        news, reports = news[~late], reports[~later]  # nothing arrives any more
    if generator.random() < 0.7:  # late arrivals, and repetitions of old articles under a new id
        again = news.sample(50, random_state=int(generator.integers(1e6))).copy()
        delay = pd.to_timedelta(generator.integers(0, 40, 50) * generator.integers(0, 2, 50), unit="D")
        again["published_at"] = decision_at + delay
        again["article_id"] = again["article_id"] + "-again"
        again["score"] = -1.0
        news = pd.concat([news, again], ignore_index=True)
    if generator.random() < 0.7:  # restatements of quarters that were known long ago
        restated = reports.sample(40, random_state=int(generator.integers(1e6))).copy()
        restated["known_at"] = decision_at + pd.to_timedelta(generator.integers(0, 60, 40), unit="D")
        restated[list(RATIOS)] = 77.0
        reports = pd.concat([reports, restated], ignore_index=True)
    if generator.random() < 0.5:
        reports = reports.sample(frac=1, random_state=1)
    return news.sort_values(["published_at", "symbol", "article_id"]), reports


def unchanged(tables, before: pd.DataFrame, case: int, weeks_tried: int) -> bool:
    """Corrupt what follows a random week; return whether that was visible in the weeks after it."""
    generator = np.random.default_rng(case)
    weeks = calendar.weeks_of_year(2017)
    t = int(generator.integers(0, weeks_tried))
    news, reports = corrupt(tables, weeks["decision_at"][t], generator)
    after = weekly_signals(2017, tables.universe, news, reports, weeks["decision_session"][t + 3])
    past = slice(0, 15 * (t + 1))
    assert table_bytes(before[past]) == table_bytes(after[past]), f"case {case}, week {weeks['week'][t].date()}"
    return not before[: len(after)].equals(after)


def test_nothing_known_after_a_week_changes_a_byte_of_it(tables):
    before = weekly_signals(2017, tables.universe, tables.sentiment, tables.fundamentals)
    visible = [unchanged(tables, before, case, weeks_tried=10) for case in range(200)]

    assert np.mean(visible) > 0.8, "the corruption must be visible in the weeks that follow"


@pytest.mark.slow
def test_nothing_known_after_a_week_changes_a_byte_of_it_in_many_cases(tables):
    before = weekly_signals(2017, tables.universe, tables.sentiment, tables.fundamentals)
    for case in range(200, 5_200):
        unchanged(tables, before, case, weeks_tried=49)
