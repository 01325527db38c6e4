"""The planted control of the forecasters: they must find a signal that is there, and nothing where nothing is.

Real daily returns are shuffled by day, which leaves how stocks move together and destroys every pattern in time. Into
them a four-week reversal of stated strength is planted. The forecasters then walk forward over the years as they do on
real prices, and their rank IC is compared with the oracle's, who ranks by the planted signal itself.

Run ``python -m allocator_pipeline.studies.forecast_control --help``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allocator_pipeline.config import FORECASTERS, N_STOCKS
from allocator_pipeline.market import calendar

REVERSAL_DAYS = 20


def plant_reversal(noise: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Plant a reversal into daily returns.

    The signal of a day is minus each stock's summed return of the last 20 days in units of its volatility, standardised
    across stocks; the next day's return gains ``strength`` daily standard deviations per unit of it.

    Parameters
    ----------
    noise : ndarray of float64, shape (T, N)
        Daily log returns without any pattern in time.
    strength : float
        Daily drift per unit of signal; 0 plants none.

    Returns
    -------
    tuple of ndarray, shape (T, N)
        Daily log returns, and the signal known at each day's close (0 in the first 20 days).
    """
    sigma = noise.std(axis=0)
    returns, signal = noise.copy(), np.zeros_like(noise)
    for t in range(1, len(noise)):
        returns[t] += strength * sigma * signal[t - 1]
        if t >= REVERSAL_DAYS:
            past = -(returns[t + 1 - REVERSAL_DAYS : t + 1] / sigma).sum(axis=0)
            signal[t] = (past - past.mean()) / past.std()
    return returns, signal


def price_table(returns: np.ndarray, first_session: str) -> pd.DataFrame:
    """Return a close-only price table (`schemas.PRICES`) from the log returns, (T, N), of consecutive sessions."""
    days = calendar.sessions(first_session, f"{calendar.LAST_YEAR}-12-31")[: len(returns)]
    count = returns.shape[1]
    symbols = [f"S{i:02d}" for i in range(count)]
    close = 100 * np.exp(np.cumsum(returns, axis=0)).ravel()
    empty = np.full(close.shape, np.nan)
    return pd.DataFrame(
        {
            "date": np.repeat(days.to_numpy(), count),
            "symbol": pd.Series(np.tile(np.array(symbols, dtype=object), len(returns)), dtype="str"),
            "open": empty,
            "high": empty,
            "low": empty,
            "close": close,
            "adj_close": close,
            "volume": empty,
            "source": pd.Series(["control"] * len(close), dtype="str"),
        }
    )


def universe_table(year: int, symbols: Sequence[str]) -> pd.DataFrame:
    """Return a fixed universe (`schemas.UNIVERSE`) of 15 symbols."""
    return pd.DataFrame(
        {
            "year": np.full(N_STOCKS, year, dtype=np.int64),
            "slot": np.arange(N_STOCKS, dtype=np.int64),
            "symbol": pd.Series(list(symbols[:N_STOCKS]), dtype="str"),
            "rank": np.arange(1, N_STOCKS + 1, dtype=np.int64),
            "liquidity": np.zeros(N_STOCKS),
            "measure": pd.Series(["none"] * N_STOCKS, dtype="str"),
            "mode": pd.Series(["fixed"] * N_STOCKS, dtype="str"),
            "known_at": pd.Series([pd.Timestamp(year - 1, 12, 1, tz="UTC")] * N_STOCKS).dt.as_unit("us"),
        }
    )


def walk(
    forecaster: str,
    years: Sequence[int],
    prices: pd.DataFrame,
    signal: np.ndarray,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> dict[str, np.ndarray]:
    """Forecast some years of a control market and measure every week.

    Parameters
    ----------
    forecaster : {"lstm", "patchtst"}
    years : sequence of int
    prices : DataFrame
        As `price_table` gives.
    signal : ndarray of float64, shape (days, N)
        The planted signal, by day and symbol.
    seed : int
        Seed of the networks.

    Returns
    -------
    dict of ndarray, shape (weeks,)
        ``ic`` of the forecasts and ``oracle`` of the signal with the week's return, and ``align``, the correlation of
        forecasts and signal; all of ranks across stocks.
    """
    from allocator_pipeline.forecasters.quality import rank_ic
    from allocator_pipeline.forecasters.walk_forward import fit_forecaster, forecast_year

    close = prices.pivot(index="date", columns="symbol", values="adj_close")
    planted = pd.DataFrame(signal, index=close.index, columns=close.columns)
    result: dict[str, list[np.ndarray]] = {"ic": [], "oracle": [], "align": []}
    for year in years:
        model = fit_forecaster(forecaster, year, prices, seed, progress=progress)
        table = forecast_year(model, year, prices, universe_table(year, list(close.columns)))
        said = table.pivot(index="week", columns="slot", values="forecast").to_numpy()
        weeks = calendar.weeks_of_year(year).iloc[: len(said)]
        weeks = weeks[weeks["exit_session"] <= close.index[-1]]
        said, columns = said[: len(weeks)], close.columns[:N_STOCKS]
        paid = (
            close.loc[weeks["exit_session"], columns].to_numpy()
            / close.loc[weeks["execution_session"], columns].to_numpy()
        )
        truth = planted.loc[weeks["decision_session"], columns].to_numpy()
        result["ic"].append(rank_ic(said, paid))
        result["oracle"].append(rank_ic(truth, paid))
        result["align"].append(rank_ic(said, truth))
    return {name: np.concatenate(parts) for name, parts in result.items()}


def control(draws: int, years: Sequence[int], strength: float, say: Callable[[str], None]) -> pd.DataFrame:
    """Run the control on shuffled days of the sample market.

    Parameters
    ----------
    draws : int
        Independent shuffles.
    years : sequence of int
        Years to forecast, 1996 to 2022.
    strength : float
        As in `plant_reversal`; 0 is the null.

    Returns
    -------
    DataFrame
        One row by draw and forecaster: mean ``ic``, ``oracle``, their ratio ``recovered``, ``align``, and the
        ``cpu_seconds`` of fitting and forecasting.
    """
    from skfolio.datasets import load_sp500_dataset

    real = load_sp500_dataset()
    daily = np.diff(np.log(real.to_numpy()), axis=0)
    rows: list[dict[str, Any]] = []
    for draw in range(draws):
        random = np.random.default_rng(1000 + draw)
        noise = daily[random.permutation(len(daily))][:, random.permutation(daily.shape[1])[:N_STOCKS]]
        returns, signal = plant_reversal(noise - noise.mean(axis=0), strength)
        prices = price_table(returns, str(real.index[0].date()))
        for forecaster in FORECASTERS:
            began = time.process_time()
            weekly = walk(forecaster, years, prices, signal)
            cost = time.process_time() - began
            ic, oracle, align = (float(np.nanmean(weekly[name])) for name in ("ic", "oracle", "align"))
            row = {"draw": draw, "forecaster": forecaster, "ic": ic, "oracle": oracle}
            rows.append(row | {"recovered": ic / oracle if strength else np.nan, "align": align, "cpu_seconds": cost})
            say(f"draw {draw + 1}/{draws} {forecaster}: ic {ic:.4f}, oracle {oracle:.4f}, align {align:.3f}")
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the control's table."""
    parser = argparse.ArgumentParser(description="Planted control of the forecasters.")
    parser.add_argument("--draws", type=int, default=3, help="independent shuffles (3)")
    parser.add_argument("--first-year", type=int, default=1996, help="first year forecast (1996)")
    parser.add_argument("--last-year", type=int, default=2020, help="last year forecast (2020)")
    parser.add_argument("--strength", type=float, default=0.045, help="daily drift per unit of signal (0.045); 0: null")
    chosen = parser.parse_args(arguments)
    years = range(chosen.first_year, chosen.last_year + 1)
    table = control(chosen.draws, years, chosen.strength, lambda line: print(line, flush=True))
    summary = table.groupby("forecaster")[["ic", "oracle", "recovered", "align", "cpu_seconds"]].agg(["mean", "sem"])
    print(summary.round(4).to_string())


if __name__ == "__main__":
    main()
