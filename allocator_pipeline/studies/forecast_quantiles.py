"""How good the forecast quantiles are on the sample market, beside each stock's own quantiles of the last five years.

``python -m allocator_pipeline.studies.forecast_quantiles`` prints the tables of docs/forecasters.md: pinball loss
(Koenker & Bassett 1978) and coverage, out of sample, against two opponents: the stock's quantiles of the five years
before the year's first decision, which is what the model has seen (*frozen*), and of the five years before each
decision, which the forecast panel holds it against (*rolling*). Pooled coverage can be right where every stock's is
wrong, so a last table gives it by stock, from the quietest to the most restless.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Self

import numpy as np
import pandas as pd

from allocator_pipeline.artifact import Artifact
from allocator_pipeline.config import FORECASTERS, MIN_JUDGED_WEEKS, N_STOCKS, QUANTILES
from allocator_pipeline.evaluation.forecast_weeks import LEVELS, history_of_year, pinball
from allocator_pipeline.evaluation.significance import LEVEL, ratio_interval
from allocator_pipeline.features.outcomes import outcomes_table
from allocator_pipeline.forecasters.chains import chain_start, fit_chain
from allocator_pipeline.forecasters.fold import training_fold
from allocator_pipeline.forecasters.panel import bars_between, warm_up_start
from allocator_pipeline.forecasters.walk_forward import forecast_year
from allocator_pipeline.market.sample import SampleMarket
from allocator_pipeline.market.universe import universe_of
from allocator_pipeline.studies.tables import markdown, number

FIRST_YEAR, LAST_YEAR = 1996, 2022

ERAS = (1996, 2003, 2010, 2017, 2023)
"""The years are split before each of these."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Weeks:
    """Quantiles of weeks and stocks, and what came of them.

    Parameters
    ----------
    years : ndarray of int64, shape (T,)
    symbols : ndarray of str, shape (T,)
    said, frozen, rolling : ndarray of float64, shape (T, 7)
        Forecast quantiles, and those of either opponent.
    paid : ndarray of float64, shape (T,)
        Weekly log returns.
    """

    years: np.ndarray
    symbols: np.ndarray
    said: np.ndarray
    frozen: np.ndarray
    rolling: np.ndarray
    paid: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return some years as one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    def of(self, first: int, after: int) -> Weeks:
        """Return those of the years from ``first`` to before ``after``."""
        return self.where((self.years >= first) & (self.years < after))

    def where(self, kept: np.ndarray) -> Weeks:
        """Return those that a mask of shape (T,) keeps."""
        return Weeks(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))

    def losses(self) -> np.ndarray:
        """Return the mean pinball loss of the forecast, the frozen and the rolling opponent, shape (3, 7)."""
        return np.stack([pinball(each, self.paid).mean(axis=0) for each in (self.said, self.frozen, self.rolling)])

    def coverage(self) -> np.ndarray:
        """Return the share of the returns that was not above each forecast quantile, shape (7,)."""
        return (self.paid[:, None] <= self.said).mean(axis=0)

    def off(self) -> float:
        """Return how far coverage is off at the level where it is farthest, its sign left out."""
        return float(np.abs(self.coverage() - LEVELS).max())


def models_of(name: str, years: Sequence[int], bars: pd.DataFrame) -> Iterator[tuple[int, Artifact]]:
    """Yield the model of each year, chain after chain of warm starts."""
    for _, chain in groupby(years, key=lambda year: chain_start(name, year, years[0])):
        linked = list(chain)
        yield from zip(linked, fit_chain(name, linked, dict.fromkeys(linked, bars)), strict=True)


def weeks_of(name: str, years: Sequence[int]) -> Weeks:
    """Forecast some years of the sample market, and return them beside both opponents.

    Parameters
    ----------
    name : {"lstm", "patchtst", "ridge"}
    years : sequence of int
        Consecutive ones.
    """
    market = SampleMarket()
    bars = pd.concat([market.prices(year) for year in market.coverage().years], ignore_index=True)
    parts = []
    for year, model in models_of(name, years, bars):
        universe = universe_of(year, bars)
        said = forecast_year(model, year, bars, universe)[list(QUANTILES)].to_numpy()
        window = bars_between(bars, warm_up_start(year), pd.Timestamp(year, 12, 31))
        paid = np.log1p(outcomes_table(year, universe, bars, has_open=False)["return"].to_numpy()[: len(said)])
        fold = training_fold(year, bars, False, ["return"])
        own = pd.DataFrame(fold.returns, columns=list(fold.prices.symbols)).quantile(LEVELS)
        stocks = universe.sort_values("slot")["symbol"].astype(str).to_numpy(dtype=str)
        frozen = np.tile(own[stocks].T.to_numpy(), (len(said) // N_STOCKS, 1))
        rolling = history_of_year(year, window, universe, False).quantiles.reshape(said.shape)
        known = np.isfinite(paid)
        years_of, symbols = np.full(len(said), year), np.tile(stocks, len(said) // N_STOCKS)
        parts.append(Weeks(years_of, symbols, said, frozen, rolling, paid).where(known))
    return Weeks.joined(parts)


def by_level(weeks: Weeks) -> list[Record]:
    """Return one record for each level, and one for all: losses, ratios to both opponents, coverage."""
    ours, frozen, rolling = weeks.losses()
    covered = weeks.coverage()
    rows = [(float(level), slice(k, k + 1), float(covered[k])) for k, level in enumerate(LEVELS)]
    return [
        {
            "level": level,
            "loss": float(ours[at].mean()),
            "frozen": float(ours[at].sum() / frozen[at].sum()),
            "rolling": float(ours[at].sum() / rolling[at].sum()),
            "coverage": coverage,
        }
        for level, at, coverage in [*rows, (None, slice(None), None)]
    ]


def by_era(weeks: Weeks) -> list[Record]:
    """Return one record for each era that has weeks, and one for all: both ratios, and how far coverage is off.

    In all weeks of the era together, and in its worst year.
    """
    spans = [*pairwise(ERAS), (ERAS[0], ERAS[-1])]
    records = []
    for first, after in spans:
        era = weeks.of(first, after)
        if len(era.paid):
            ours, frozen, rolling = era.losses().sum(axis=1)
            worst = max((era.of(year, year + 1).off(), year) for year in np.unique(era.years))
            span = f"{era.years.min()}-{era.years.max()}"
            records.append(
                {"years": span, "frozen": ours / frozen, "rolling": ours / rolling, "off": era.off(), "worst": worst}
            )
    return records


def by_stock(weeks: Weeks) -> list[Record]:
    """Return one record for each stock that has weeks enough for an interval, the narrowest forecasts first.

    Its number of weeks, the mean ``width`` from the 5 % to the 95 % quantile, and ``off``: by level, coverage less that
    level with its interval (`evaluation.significance.ratio_interval`).
    """
    records = []
    for symbol in np.unique(weeks.symbols):
        own = weeks.where(weeks.symbols == symbol)
        if (count := len(own.paid)) >= MIN_JUDGED_WEEKS:
            missed = (own.paid[:, None] <= own.said) - LEVELS
            off = [ratio_interval(column, np.ones(count)) for column in missed.T]
            width = float((own.said[:, -1] - own.said[:, 0]).mean())
            records.append({"stock": str(symbol), "weeks": count, "width": width, "off": off})
    return sorted(records, key=lambda record: record["width"])


def leaves_out_zero(interval: Mapping[str, float]) -> bool:
    """Tell whether an interval lies on one side of zero."""
    return interval["low"] > 0 or interval["high"] < 0


def _points(level: int, row: Record) -> str:
    """Return how far a stock's coverage of a level is off in points, with a star if its interval leaves out zero."""
    interval = row["off"][level]
    return f"{100 * interval['estimate']:+.1f}{'*' if leaves_out_zero(interval) else ''}"


def _counted(stocks: Sequence[Record]) -> str:
    intervals = [interval for row in stocks for interval in row["off"]]
    found, chance = sum(map(leaves_out_zero, intervals)), (1 - LEVEL) * len(intervals)
    return f"{found} of {len(intervals)} intervals leave out zero (*); chance alone gives about {chance:.0f}."


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of each forecaster; those of forecasters that say the same are printed once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-year", type=int, default=FIRST_YEAR, help=f"first year forecast ({FIRST_YEAR})")
    parser.add_argument("--last-year", type=int, default=LAST_YEAR, help=f"last year forecast ({LAST_YEAR})")
    parser.add_argument("--forecasters", nargs="+", choices=FORECASTERS, default=list(FORECASTERS))
    chosen = parser.parse_args(arguments)
    years = range(chosen.first_year, chosen.last_year + 1)
    levels = {
        "level": lambda row: "all" if row["level"] is None else number(row["level"]),
        "pinball loss, basis points": lambda row: number(1e4 * row["loss"]),
        "of frozen quantiles": lambda row: number(row["frozen"], 4),
        "of rolling quantiles": lambda row: number(row["rolling"], 4),
        "coverage": lambda row: number(row["coverage"], 3),
    }
    eras = {
        "years": lambda row: str(row["years"]),
        "of frozen quantiles": lambda row: number(row["frozen"], 4),
        "of rolling quantiles": lambda row: number(row["rolling"], 4),
        "coverage off by at most": lambda row: number(row["off"], 3),
        "in its worst year": lambda row: f"{number(row['worst'][0], 3)} ({row['worst'][1]})",
    }
    of_stocks: dict[str, Callable[[Record], str]] = {
        "stock": lambda row: str(row["stock"]),
        "weeks": lambda row: str(row["weeks"]),
        "5 to 95 %, points": lambda row: number(100 * row["width"], 1),
        **{f"{100 * level:g} %": partial(_points, k) for k, level in enumerate(LEVELS)},
    }
    printed: dict[str, str] = {}
    for name in chosen.forecasters:
        weeks = weeks_of(name, years)
        stocks = by_stock(weeks)
        tables = "\n\n".join(
            [
                markdown(by_level(weeks), levels),
                markdown(by_era(weeks), eras),
                markdown(stocks, of_stocks),
                _counted(stocks),
            ]
        )
        same = printed.get(tables)
        print(f"{name}\n\n{tables}\n" if same is None else f"{name}: the same numbers as {same}\n")
        printed.setdefault(tables, name)


if __name__ == "__main__":
    main()
