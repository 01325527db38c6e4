"""The forecasters by name, new or rebuilt from their stored files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError
from allocator_pipeline.forecasters.base import Forecaster, ForecasterConfig
from allocator_pipeline.forecasters.lstm import LSTMForecaster
from allocator_pipeline.forecasters.patchtst import PatchTSTForecaster


class StandInForRidge(LSTMForecaster):
    """Temporary: holds the place of the ridge forecaster until it is merged."""

    name = "ridge"


CLASSES: Mapping[str, type[Forecaster]] = {
    "lstm": LSTMForecaster,
    "patchtst": PatchTSTForecaster,
    "ridge": StandInForRidge,
}


def new_forecaster(name: str, config: ForecasterConfig | None = None) -> Forecaster:
    """Return an untrained forecaster, with its own hyperparameters unless others are given.

    Raises
    ------
    ConfigurationError
        If there is no forecaster of that name.
    """
    if name not in CLASSES:
        raise ConfigurationError(f"There is no forecaster {name!r}.", todo=f"use one of {', '.join(CLASSES)}.")
    return CLASSES[name](CLASSES[name].config_type() if config is None else config)


def forecaster_files(
    forecaster: Forecaster, symbols: tuple[str, ...], calibration: Mapping[str, float]
) -> dict[str, bytes]:
    """Return the files of a fitted forecaster: ``model.safetensors`` and ``model.json``.

    Parameters
    ----------
    forecaster : Forecaster
    symbols : tuple of str
        The cross-section it was fitted on.
    calibration : mapping
        ``intercept`` and ``slope``, as `fold.calibrate` gives them.
    """
    description = {
        "forecaster": forecaster.name,
        "config": dataclasses.asdict(forecaster.config),
        "symbols": list(symbols),
        **calibration,
    }
    return {"model.safetensors": save_safetensors(forecaster.tensors()), "model.json": canonical_json(description)}


def load_forecaster(name: str, files: Mapping[str, bytes]) -> tuple[Forecaster, dict[str, Any]]:
    """Rebuild a fitted forecaster from its files.

    Parameters
    ----------
    name : {"lstm", "patchtst"}
    files : mapping of str to bytes
        ``model.safetensors`` and ``model.json``.

    Returns
    -------
    tuple of (Forecaster, dict)
        The forecaster and the content of ``model.json``.

    Raises
    ------
    CorruptArtifactError
        If a file is absent, unreadable, or not what the network expects.
    """
    try:
        description = json.loads(files["model.json"])
        if description["forecaster"] != name:
            raise ValueError(f"it is a {description['forecaster']!r} model")
        if not all(isinstance(symbol, str) for symbol in description["symbols"]):
            raise ValueError("its symbols are not names")
        if not np.isfinite([description["intercept"], description["slope"]]).all():
            raise ValueError("its calibration is not finite")
        config = CLASSES[name].config_type(**description["config"])
        tensors = load_safetensors(files["model.safetensors"])
        return CLASSES[name](config).load(tensors), description
    except CorruptArtifactError:
        raise
    except Exception as error:  # json, safetensors and torch raise their own types for every kind of damage
        raise CorruptArtifactError(
            f"These files are not a {name} forecaster: {error!r}.", todo="materialise the forecasts again."
        ) from error
