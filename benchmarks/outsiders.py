"""The same kinds of network out of other libraries, trained as those train; optional, and imported when asked.

Sizes are those of our recipes, lengths and series those of the material. What ours does not have, instance
normalisation and scaling of windows, is off.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from allocator_pipeline.forecasters.inputs import CONTEXT
from benchmarks.forecasting import Material, network_forecaster
from benchmarks.row import Skipped

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}

Trainer = Callable[[int], object]
"""Trains a fresh network for so many steps."""


def absent(package: str) -> Skipped | None:
    """Return why a row cannot be measured, or None if its package is there."""
    if importlib.util.find_spec(package) is not None:
        return None
    return Skipped(
        f"{package} is not installed: it serves benchmarks alone. "
        "`.venv/bin/pip install -c requirements.txt neuralforecast transformers` adds it."
    )


def cpu_seconds_a_step(train: Trainer, few: int, many: int) -> float:
    """Return the CPU seconds of a step: two lengths of training differ in their steps and not in their start."""
    spent = []
    for steps in (few, many):
        begun = time.process_time()
        train(steps)
        spent.append(time.process_time() - begun)
    return (spent[1] - spent[0]) / (many - few)


def neuralforecast_trainer(name: str, data: Material, windows: int) -> Trainer:
    """Return neuralforecast's training of its LSTM or PatchTST: a step is so many windows of all stocks, horizon 1.

    Parameters
    ----------
    name : {"lstm", "patchtst"}
    data : Material
    windows : int
        Windows in a step, and so targets.
    """
    os.environ.update(OFFLINE)
    with _quiet():
        from neuralforecast import NeuralForecast
        from neuralforecast.losses.pytorch import MSE
        from neuralforecast.models import LSTM, PatchTST

    first = int(np.flatnonzero(np.isfinite(data.targets).any(axis=1))[0])
    series = data.values[max(first - CONTEXT, 0) :, :, 0]  # its targets are the values themselves: as many as we have
    days, stocks = series.shape
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(stocks), days),
            "ds": np.tile(np.arange(days), stocks),
            "y": series.T.ravel(),
        }
    )
    ours: Any = network_forecaster(name).config
    make, sizes = {
        "lstm": lambda: (LSTM, _lstm_sizes(ours)),
        "patchtst": lambda: (PatchTST, _patchtst_sizes(ours)),
    }[name]()

    def train(steps: int) -> object:
        with _quiet():
            model = make(
                h=1,
                input_size=CONTEXT,
                loss=MSE(),
                max_steps=steps,
                learning_rate=ours.learning_rate,
                batch_size=stocks,
                windows_batch_size=windows,
                scaler_type="identity",
                accelerator="cpu",
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=False,
                **sizes,
            )
            library = NeuralForecast(models=[model], freq=1)
            library.fit(frame)
            return library.models[0]

    return train


def _lstm_sizes(ours: Any) -> dict[str, Any]:
    return {"encoder_n_layers": 1, "encoder_hidden_size": ours.hidden, "decoder_layers": 1}


def _patchtst_sizes(ours: Any) -> dict[str, Any]:
    return {
        "encoder_layers": ours.layers,
        "n_heads": ours.heads,
        "hidden_size": ours.width,
        "linear_hidden_size": ours.feed_forward,
        "patch_len": ours.stride,
        "stride": ours.stride,
        "dropout": ours.dropout,
        "revin": False,
    }


def transformers_network(data: Material) -> nn.Module:
    """Return transformers' PatchTST of our sizes, untrained; a channel is a stock."""
    os.environ.update(OFFLINE)
    with _quiet():
        from transformers import PatchTSTConfig, PatchTSTForPrediction

        ours: Any = network_forecaster("patchtst").config
        return PatchTSTForPrediction(
            PatchTSTConfig(
                num_input_channels=data.values.shape[1],
                context_length=CONTEXT,
                prediction_length=1,
                patch_length=ours.stride,
                patch_stride=ours.stride,
                num_hidden_layers=ours.layers,
                d_model=ours.width,
                num_attention_heads=ours.heads,
                ffn_dim=ours.feed_forward,
                ff_dropout=ours.dropout,
                norm_type="layernorm",
                scaling=None,
            )
        )


def transformers_trainer(data: Material, windows: int) -> Trainer:
    """Return a plain loop over transformers' PatchTST; a step is so many windows, those of all stocks on some days."""
    ours: Any = network_forecaster("patchtst").config
    series = torch.from_numpy(data.values)[..., 0]
    past = series.unfold(0, CONTEXT, 1)[:-1].transpose(1, 2)  # (days, 60, N), a view
    future = series[CONTEXT:, None]
    days, rest = divmod(windows, data.values.shape[1])
    if rest:
        raise ValueError(f"{windows} windows are no whole number of days of all stocks.")

    def train(steps: int) -> object:
        torch.manual_seed(0)
        network = transformers_network(data).train()
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=ours.learning_rate, weight_decay=ours.weight_decay, fused=True
        )
        for _ in range(steps):
            chosen = torch.randint(len(future), (days,))
            loss = network(past_values=past[chosen], future_values=future[chosen]).loss
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), ours.gradient_clip)
            optimiser.step()
        return network

    return train


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice that is not for this use, on loggers, workers and devices; leave torch's random state alone."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(level)
