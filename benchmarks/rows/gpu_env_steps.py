"""Environment steps on a GPU: portfolios, weights and accounting resident on it. Skipped where there is none."""

from __future__ import annotations

import torch

from allocator_pipeline.portfolio.constraints import N_ASSETS
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.tensor_market import TensorMarket, Window
from benchmarks import device
from benchmarks.market import random_states
from benchmarks.row import Row, Skipped
from benchmarks.training import COSTS

PORTFOLIOS, EPISODES = 262_144, 4


def row(where: str = device.DEVICE, portfolios: int = PORTFOLIOS, repeats: int = 5) -> Row | Skipped:
    if where == device.DEVICE and device.absent():
        return device.NO_DEVICE
    torch.set_num_threads(1)
    weeks = random_states()
    market = TensorMarket([Window(weeks, StateScaler.fit(weeks))], [0], COSTS, portfolios, device=where)
    source = torch.Generator(market.device).manual_seed(1)
    tilts = torch.randn(1, portfolios, N_ASSETS, generator=source, device=market.device)
    spread = torch.rand(1, portfolios, generator=source, device=market.device)

    @torch.no_grad()
    def live() -> None:
        for _ in range(EPISODES):
            market.start_spread(spread)
            for _ in range(market.episode_weeks):
                market.observe()
                market.step(market.weights(tilts))

    return Row(
        recipe=f"random tilts, {portfolios:,} portfolios: observation, constraint map and accounting of each week",
        unit="environment steps per second",
        ours=lambda: EPISODES * market.episode_weeks * portfolios / device.seconds(live, where),
        repeats=repeats,
        facts=lambda: {"device": device.name(where)},
    )
