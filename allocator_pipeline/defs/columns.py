"""What the columns of tables mean, as the UI says beside their names: one word means one thing in every table."""

from __future__ import annotations

from collections.abc import Mapping

from allocator_pipeline.config import QUANTILES

MEANINGS: Mapping[str, str] = {
    # when
    "date": "Session, or day in New York",
    "week": "Monday of the week that the row is about",
    "year": "Year that the universe holds for",
    "decision_at": "Instant of the week's decision: what is known later is not read",
    "known_at": "When the row was known; no decision before that reads it",
    "published_at": "When the article was published, or last changed before it was fetched",
    "period_end": "Last day of the fiscal quarter",
    # which
    "symbol": "Candidate that the row is about: a company, whatever its ticker is today",
    "slot": "Place of the stock among the year's 15; 15 is CASH",
    "source": "Whose data it is",
    "forecaster": "Whose forecast it is",
    "model_version": "Version of the model that made it",
    "series": "Name of the series",
    "article_id": "The vendor's number of the article",
    # bars
    "open": "First price of the session, USD",
    "high": "Highest price of the session, USD",
    "low": "Lowest price of the session, USD",
    "close": "Last price of the session, USD",
    "adj_close": "Close whose changes are total returns, dividends and splits included, USD",
    "volume": "Shares traded in the session",
    # news
    "score": "P(positive) - P(negative), from -1 to 1; of several articles the mean",
    "scorer": "What scored the text, with a hash of its rules or weights",
    "articles": "How many articles",
    "lowest": "Lowest score of the day",
    "highest": "Highest score of the day",
    "news_sentiment": "Mean score of the articles of 28 days, the newest weighing most; none with fewer than 3",
    # fundamentals
    "gross_margin": "Gross profit / revenue",
    "operating_margin": "Operating income / revenue",
    "net_margin": "Net income / revenue",
    "current_ratio": "Current assets / current liabilities",
    "debt_to_equity": "Total debt / equity",
    "fundamental_age": "Quarters of 90 days since the newest figures were known, at most 4; 4 without any",
    "field": "Figure of the quarter, USD",
    "first_value": "As first said, USD",
    "first_known_at": "When it was first said",
    "later_value": "As said later, USD",
    "value": "In the units of its source",
    # the universe
    "rank": "Place by liquidity, 1 the most liquid",
    "liquidity": "What the measure is; none for a fixed list",
    "measure": "What liquidity is measured by",
    "mode": "point_in_time: chosen by what was known when the year began; fixed: chosen with hindsight",
    # forecasts, and what came
    "forecast": "Expected log return of the week",
    **{name: f"Level that the week's log return stays below with {int(name[1:])} % probability" for name in QUANTILES},
    "return": "Simple return from the week's execution to the next; none while not known",
    "mark": "Simple return from the week's execution to the close at the next decision; none while not known",
    "weight": "Share of the portfolio",
    # what forecasts were worth
    "stocks": "Stocks with a forecast and a return",
    "missing": "Stocks without a forecast, left out of every sum",
    "squared_error": "Sum over the stocks, forecast against return",
    "squared_error_of_zero": "The same of a forecast of zero",
    "squared_error_of_mean": "The same of the mean return of all stocks so far",
    "hits": "Stocks whose forecast has the sign of their return",
    "ups": "Stocks with a return above zero",
    "rank_ic": "Spearman correlation of forecasts with returns; none where undefined",
    "with_quantiles": "Stocks with quantiles and a return",
    "held": "Symbols with the highest forecasts",
    **{f"pinball_{name}": f"Sum of pinball losses at {name}" for name in QUANTILES},
    **{f"pinball_of_history_{name}": f"The same of the quantile of each stock's past, at {name}" for name in QUANTILES},
    **{f"below_{name}": f"Stocks whose return fell below {name}" for name in QUANTILES},
    # what a vendor was asked
    "name": "Symbol or series",
    "kind": "What kind of thing it is",
    "asked": "Ticker or number that the vendor is asked for",
    "first": "First day that is needed of the year",
    "last": "Last day that is needed of the year",
    "due": "Sessions, days or quarters that are due",
    "there": "How many of them are there",
    "told": "What casts doubt, in words",
}
