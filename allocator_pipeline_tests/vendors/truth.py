"""A market's tables as the truth behind all vendors: headlines that VADER scores as wanted, statements, series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from allocator_pipeline.config import RATIOS
from allocator_pipeline.market import calendar
from allocator_pipeline.market.news import vader_scores
from allocator_pipeline.market.source import MarketSource

GOOD, BAD, PLAIN = "gain", "loss", "quarter"
REVENUE, EQUITY, LIABILITIES = 4e9, 3e9, 2e9
"""USD; ratios are what matters."""


@dataclass(frozen=True)
class Truth:
    """What the vendors hold.

    Parameters
    ----------
    bars : DataFrame
        ``symbol, date, open, high, low, close, adj_close, volume``.
    actions : DataFrame
        ``symbol, date, kind, value``.
    news : DataFrame
        ``article_id`` (a whole number), ``symbol, published_at, text``.
    quarters : DataFrame
        ``symbol, period_end, known_at`` and the parts of ratios, USD.
    series : DataFrame
        ``series, date, value``.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    news: pd.DataFrame
    quarters: pd.DataFrame
    series: pd.DataFrame


def truth_of(market: MarketSource, years: Sequence[int]) -> Truth:
    """Return some years of a market as the truth; its prices are taken to be as traded, without actions."""
    bars = pd.concat([market.prices(year) for year in years], ignore_index=True)
    news = pd.concat([market.sentiment(year) for year in years], ignore_index=True)
    quarters = pd.concat([market.fundamentals(year) for year in years], ignore_index=True)
    return Truth(
        bars=bars.drop(columns="source"),
        actions=pd.DataFrame({"symbol": [], "date": pd.DatetimeIndex([]), "kind": [], "value": []}),
        news=pd.DataFrame(
            {
                "article_id": np.arange(1, len(news) + 1),
                "symbol": news["symbol"],
                "published_at": news["published_at"],
                "text": headlines(news["score"].to_numpy(), news["published_at"]),
            }
        ),
        quarters=parts_of(quarters),
        series=series_of(bars),
    )


@lru_cache(maxsize=1)
def _ladder() -> tuple[np.ndarray, list[str]]:
    """Return scores that VADER gives, rising, and the words it gives them for."""
    texts = [
        " ".join([*[GOOD] * good, *[BAD] * bad, *[PLAIN] * plain])
        for good in range(5)
        for bad in range(5)
        if good == 0 or bad == 0
        for plain in range(1, 24)
    ]
    scores = vader_scores([f"{text} 20200101" for text in texts])
    order = np.argsort(scores, kind="stable")
    return scores[order], [texts[place] for place in order]


def headlines(scores: np.ndarray, published_at: pd.Series) -> list[str]:
    """Return a headline for each score, which VADER scores within about 0.05 of it; its day makes it different."""
    rungs, texts = _ladder()
    upper = np.clip(np.searchsorted(rungs, scores), 1, len(rungs) - 1)
    nearest = np.where(scores - rungs[upper - 1] < rungs[upper] - scores, upper - 1, upper)
    days = published_at.dt.strftime("%Y%m%d")
    return [f"{texts[place]} {day}" for place, day in zip(nearest, days, strict=True)]


def parts_of(quarters: pd.DataFrame) -> pd.DataFrame:
    """Return whole numbers of USD whose ratios are those of some quarters (to nine digits); absent ones stay absent."""
    table = quarters[["symbol", "period_end", "known_at"]].copy()
    of = {"gross_margin": REVENUE, "operating_margin": REVENUE, "net_margin": REVENUE}
    numerators = ("gross_profit", "operating_income", "net_income", "current_assets", "total_debt")
    names = dict(zip(RATIOS, numerators, strict=True))
    for ratio, name in names.items():
        base = of.get(ratio, LIABILITIES if ratio == "current_ratio" else EQUITY)
        table[name] = (quarters[ratio] * base).round()
    return table.assign(revenue=REVENUE, equity=EQUITY, current_liabilities=LIABILITIES)


def series_of(bars: pd.DataFrame) -> pd.DataFrame:
    """Return macro series over the sessions of some bars: an index of the stocks, and smooth yields."""
    days = calendar.sessions(bars["date"].min(), bars["date"].max())
    moves = bars.pivot(index="date", columns="symbol", values="close").pct_change().mean(axis=1).reindex(days)
    level = 1000 * (1 + moves.fillna(0)).cumprod()
    calm = 100 * np.sqrt(252) * moves.rolling(20, min_periods=1).std().fillna(0.01)
    wave = np.sin(np.arange(len(days)) / 250)
    found = {"SP500": level, "VIXCLS": calm}
    for number, name in enumerate(("DGS3MO", "DGS2", "DGS5", "DGS10")):
        found[name] = pd.Series(2 + 0.3 * number + wave, index=days)
    return pd.concat(
        [pd.DataFrame({"series": name, "date": days, "value": line.to_numpy()}) for name, line in found.items()]
    )
