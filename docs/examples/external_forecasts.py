"""Write a table of forecasts for the sample market, as a model in an environment of its own would.

    .venv/bin/python docs/examples/external_forecasts.py /tmp/forecasts.parquet

The model is a **toy**: a hundredth of a stock's return over the last quarter, with quantiles from its past weeks. It
stands where a call of Toto, Chronos or Kronos would. What is worth copying is the rest: one row a stock and week, made
from closes up to the decision session only, with the moment at which the forecast was there.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from allocator_pipeline.market import calendar
from allocator_pipeline.market.sample import SampleMarket

NAME = "toy"
LEVELS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)


def model(closes: np.ndarray) -> tuple[float, np.ndarray]:
    """Forecast the coming weekly log return of one stock and its quantiles from its closes so far."""
    steps = np.diff(np.log(closes))
    expected = 0.01 * steps[-63:].sum()
    weeks = steps[-260:].reshape(52, 5).sum(axis=1)  # the last 52 times five sessions
    return expected, np.quantile(weeks - weeks.mean(), LEVELS) + expected


def main() -> None:
    """Write the table."""
    market = SampleMarket()
    prices = pd.concat([market.prices(year) for year in market.coverage().years])
    closes = prices.pivot(index="date", columns="symbol", values="adj_close")
    rows = []
    for week in calendar.weeks("1995-01-01", "2022-12-26").itertuples():
        past = closes[closes.index <= week.decision_session]  # nothing later than the decision session
        for symbol in closes.columns:
            expected, quantiles = model(past[symbol].to_numpy()[-300:])
            rows.append(
                {
                    "forecaster": NAME,
                    "symbol": symbol,
                    "week": week.week,
                    "known_at": week.decision_at - pd.Timedelta(seconds=30),  # when a live run would have been done
                    "forecast": expected,
                    **{f"q{round(100 * level):02d}": value for level, value in zip(LEVELS, quantiles, strict=True)},
                    "model_version": "toy-1",
                }
            )
    pd.DataFrame(rows).to_parquet(sys.argv[1])
    print(f"{len(rows)} forecasts of {NAME!r} in {sys.argv[1]}")


if __name__ == "__main__":
    main()
