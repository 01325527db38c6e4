"""The constraint map: ours in numpy and torch, against the exact Euclidean projection and bisection."""

from __future__ import annotations

import numpy as np
import torch

from allocator_pipeline.config import CostConfig
from allocator_pipeline.portfolio.constraints import N_ASSETS, check_weights, project
from allocator_pipeline.portfolio.tensor_market import project_tensor
from benchmarks.clock import cpu_seconds, milliseconds
from benchmarks.projections import euclidean, euclidean_by_bisection, kullback_leibler_by_bisection, softmax
from benchmarks.row import Row

ROWS, LOOPS = 4096, 50
SPREAD = 1.5
"""Standard deviation of the logits: at most of the rows some stock exceeds its cap."""


def row(rows: int = ROWS, loops: int = LOOPS) -> Row:
    torch.set_num_threads(1)
    costs = CostConfig()
    logits = np.random.default_rng(1).normal(0.0, SPREAD, (rows, N_ASSETS))
    for weights in (
        project(logits, costs),
        euclidean(softmax(logits), costs),
        euclidean_by_bisection(softmax(logits), costs),
        kullback_leibler_by_bisection(logits, costs),
        project_tensor(torch.from_numpy(logits), costs).numpy(),
    ):
        check_weights(weights, costs)

    def ours() -> float:
        return rows * loops / cpu_seconds(lambda: project(logits, costs), loops)

    def reference() -> float:
        return rows * loops / cpu_seconds(lambda: euclidean(softmax(logits), costs), loops)

    def breakdown() -> dict[str, float]:
        single = torch.from_numpy(logits.astype(np.float32))
        leaf = single.clone().requires_grad_()
        worth = torch.randn(single.shape, generator=torch.Generator().manual_seed(1))

        def there_and_back() -> None:
            torch.autograd.grad((project_tensor(leaf, costs) * worth).sum(), leaf)

        return {
            "ms of numpy": milliseconds(lambda: project(logits, costs), loops),
            "torch forward (float32)": milliseconds(lambda: project_tensor(single, costs), loops),
            "torch forward and backward": milliseconds(there_and_back, loops),
            "the same map by bisection": milliseconds(lambda: kullback_leibler_by_bisection(logits, costs), loops // 5),
            "Euclidean by sorting": milliseconds(lambda: euclidean(softmax(logits), costs), loops),
            "Euclidean by bisection": milliseconds(lambda: euclidean_by_bisection(softmax(logits), costs), loops // 5),
        }

    capped = np.isclose(project(logits, costs)[:, :-1], costs.max_position_weight).any(axis=1).mean()
    return Row(
        recipe=f"{rows:,} rows of 16 logits to weights in numpy; softmax and exact Euclidean projection by sorting",
        unit="rows per CPU second",
        ours=ours,
        reference=reference,
        breakdown=breakdown,
        facts=lambda: {"rows in which a stock is capped": f"{capped:.0%}"},
    )
