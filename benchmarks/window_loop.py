"""Dense training against a loop over windows: both rows are made here, a network each."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.clock import cpu_seconds
from benchmarks.forecasting import (
    Material,
    fit,
    fit_by_windows,
    material,
    network_forecaster,
    targets_a_step,
    targets_read,
)
from benchmarks.row import REPEATS, Row

BATCHES = (32, 64, 128, 256)
"""Other batch sizes of the loop, for comparison."""

TRAININGS = 3
"""Of ours in a measurement: one takes a fraction of a second."""

WINDOWS = 9_000
"""Windows that a measurement of the loop trains on: their cost does not depend on how many there are."""


def loop_row(
    name: str,
    data: Material | None = None,
    batches: Sequence[int] = BATCHES,
    windows: int = WINDOWS,
    repeats: int = REPEATS,
) -> Row:
    """Return the row of a network: targets that are learnt from in a CPU second, dense and window by window.

    The loop takes as many targets in a step as the dense training does, so that both are the same training but for how
    the scores are computed. A loop may be faster at another batch size, which is another training: that ratio is a fact
    beside the first, measured alike, and what each batch size costs is in the breakdown.
    """
    trained_on = material() if data is None else data
    same = targets_a_step(network_forecaster(name), trained_on)
    each = targets_read(fit(network_forecaster(name), trained_on), trained_on)

    def ours() -> float:
        return TRAININGS * each / cpu_seconds(lambda: fit(network_forecaster(name), trained_on), TRAININGS)

    def loop(batch: int) -> float:
        steps = -(-windows // batch)
        return batch * steps / cpu_seconds(lambda: fit_by_windows(network_forecaster(name), trained_on, batch, steps))

    costs: dict[int, float] = {}

    def breakdown() -> dict[str, float]:
        costs.update({batch: 1e6 / loop(batch) for batch in (*batches, same)})
        dense = {f"us a target, dense, {same} targets a step": 1e6 / ours()}
        return dense | {f"loop, batches of {batch}": cost for batch, cost in sorted(costs.items())}

    def facts() -> dict[str, Any]:
        best = min(costs, key=costs.__getitem__)
        ratios = [ours() / loop(best) for _ in range(repeats)]
        return {
            "targets that a training reads": each,
            "targets a step, on both sides": same,
            "ratio at the loop's best batch": statistics.median(ratios),
            "the loop's best batch": best,
        }

    stocks = trained_on.values.shape[1]
    return Row(
        recipe=f"{name}, {stocks} stocks x {len(trained_on.values):,} days, a cold training of its recipe with dense "
        f"targets; the same network trained on 60-day windows, a target each, in batches of {same} as ours. The "
        "ratio is at that batch; the one at the batch that is best for the loop stands beside it",
        unit="training targets per CPU second",
        ours=ours,
        reference=lambda: loop(same),
        breakdown=breakdown,
        repeats=repeats,
        facts=facts,
    )
