"""What more stocks cost the forecasters: CPU seconds of an epoch, and memory of one model's training over its inputs.

The tables of prices from which a fit makes its inputs are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch

from allocator_pipeline.config import FORECASTERS
from benchmarks.clock import cpu_seconds
from benchmarks.forecasting import fit_and_score, fit_epoch, material
from benchmarks.memory import extra_mebibytes
from benchmarks.row import Row, number

STOCKS = (15, 100, 500)


def row(stocks: Sequence[int] = STOCKS, forecasters: Sequence[str] = FORECASTERS, repeats: int = 3) -> Row:
    torch.set_num_threads(1)
    counts = sorted(stocks)
    markets = {count: material(count) for count in counts}
    spent: dict[tuple[str, int], list[float]] = {(name, count): [] for name in forecasters for count in counts}
    for name in forecasters:
        fit_and_score(name, markets[counts[0]])  # what torch loads once is not the stocks'
    memory = {key: extra_mebibytes(lambda key=key: fit_and_score(key[0], markets[key[1]])) for key in spent}

    def ours() -> float:
        for name, count in spent:
            spent[name, count].append(cpu_seconds(lambda name=name, count=count: fit_epoch(name, markets[count])))
        return sum(spent[name, counts[-1]][-1] for name in forecasters)

    def least(name: str, count: int) -> float:
        return min(spent[name, count])

    def breakdown() -> dict[str, float]:
        return {
            f"ms of an epoch and a stock, {name}, {count} stocks": 1e3 * least(name, count) / count
            for name, count in spent
        }

    def growth(name: str) -> str:
        cost = {count: least(name, count) / count for count in counts}
        worst = max(combinations(counts, 2), key=lambda pair: cost[pair[1]] / cost[pair[0]])
        return f"{cost[worst[1]] / cost[worst[0]]:.2f}, at {worst[1]} stocks over {worst[0]}"

    def facts() -> dict[str, Any]:
        grown = {f"{name}: growth of the cost of a stock at most": growth(name) for name in forecasters}
        peaks = {
            f"{name}: memory of one model over its inputs, MiB": ", ".join(
                f"{count} stocks {number(memory[name, count])}" for count in counts
            )
            for name in forecasters
            if memory[name, counts[0]] is not None
        }
        return grown | peaks

    return Row(
        recipe=f"{', '.join(forecasters)}: an epoch of training on {', '.join(map(str, counts))} simulated stocks x "
        f"{len(markets[counts[0]].values):,} days; the number is that of {counts[-1]}, all forecasters together",
        unit="CPU seconds (less is better)",
        ours=ours,
        breakdown=breakdown,
        repeats=repeats,
        facts=facts,
    )
