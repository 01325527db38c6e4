"""Dense training against the same kind of network out of another library: these rows are made here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.clock import cpu_seconds
from benchmarks.forecasting import Material, fit, material, network_forecaster, targets_a_step, targets_read
from benchmarks.outsiders import Trainer, absent, cpu_seconds_a_step, neuralforecast_trainer, transformers_trainer
from benchmarks.row import Row, Skipped
from benchmarks.window_loop import TRAININGS

FEW, MANY = 10, 50
"""Steps of the two trainings of which the difference is taken."""

DEFAULT_WINDOWS = {"lstm": 128, "patchtst": 1024}
"""Windows that neuralforecast takes in a step unless told otherwise."""


def neuralforecast_row(name: str, **smaller: Any) -> Row | Skipped:
    """Return the row of a network against neuralforecast's."""
    return _row(name, "neuralforecast", partial(neuralforecast_trainer, name), DEFAULT_WINDOWS[name], **smaller)


def transformers_row(**smaller: Any) -> Row | Skipped:
    """Return the row of our PatchTST against transformers' in a plain loop."""
    return _row("patchtst", "transformers", transformers_trainer, None, **smaller)


def _row(
    name: str,
    library: str,
    trainer: Callable[[Material, int], Trainer],
    default: int | None,
    data: Material | None = None,
    few: int = FEW,
    many: int = MANY,
    repeats: int = 5,
) -> Row | Skipped:
    missing = absent(library)
    if missing is not None:
        return missing
    torch.set_num_threads(1)
    trained_on = material() if data is None else data
    same = targets_a_step(network_forecaster(name), trained_on)
    each = targets_read(fit(network_forecaster(name), trained_on), trained_on)
    theirs = trainer(trained_on, same)

    def ours() -> float:
        return TRAININGS * each / cpu_seconds(lambda: fit(network_forecaster(name), trained_on), TRAININGS)

    def reference() -> float:
        return same / cpu_seconds_a_step(theirs, few, many)

    def breakdown() -> dict[str, float]:
        wide = 4 * same if default is None else default
        step = cpu_seconds_a_step(trainer(trained_on, wide), few, many)
        return {
            "us a target, dense": 1e6 / ours(),
            f"{library}, {same} windows a step": 1e6 / reference(),
            f"{library}, {wide} windows a step": 1e6 * step / wide,
        }

    def facts() -> dict[str, Any]:
        return {
            "targets that our training reads": each,
            "targets a step, on both sides": same,
            "weights": f"ours {_weights(network_forecaster(name).build())}, theirs {_weights(theirs(1))}",
            "versions": f"{library} {version(library)}, torch {torch.__version__}",
        }

    stocks = trained_on.values.shape[1]
    return Row(
        recipe=f"{name}, {stocks} stocks x {len(trained_on.values):,} days, a cold training of its recipe with dense "
        f"targets; one of the same sizes out of {library}, 60 days to one, {same} windows a step, start-up not counted "
        f"({many} steps less {few})",
        unit="training targets per CPU second",
        ours=ours,
        reference=reference,
        breakdown=breakdown,
        repeats=repeats,
        facts=facts,
    )


def _weights(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
