"""What the assets of the forecast panel share: whose forecasts a partition means, all years' panels, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline.atomic import sha256, write_bytes
from allocator_pipeline.config import FORECASTERS, OPPONENTS
from allocator_pipeline.defs.partitions import split
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.errors import MissingPartitionError

FORECAST_PAGE = "forecasts.html"

NO_PANEL = "its forecast_panel has not been materialised for any year."


def forecasts_of(key: str, ours: Partitioned, opponents: Partitioned, external: Partitioned) -> pd.DataFrame:
    """Return the forecasts of a partition ``"forecaster|year"`` from wherever that forecaster's are.

    Raises
    ------
    MissingPartitionError
        If they have not been materialised.
    """
    name, year = split(key)
    if name in FORECASTERS:
        return ours[key]
    table = (opponents if name in OPPONENTS else external)[year]
    return table[table["forecaster"] == name].reset_index(drop=True)


def panels_of(forecast_panel: Partitioned) -> dict[str, dict[int, pd.DataFrame]]:
    """Return the stored panels by forecaster and year.

    Raises
    ------
    MissingPartitionError
        If none is stored.
    """
    panels: dict[str, dict[int, pd.DataFrame]] = {}
    for key in forecast_panel.stored():
        name, year = split(key)
        panels.setdefault(name, {})[int(year)] = forecast_panel[key]
    if not panels:
        raise MissingPartitionError(
            "There is no forecast panel to sum up.", todo="materialise forecast_panel of a year first."
        )
    return panels


def why_absent(
    panels: Mapping[str, Mapping[int, pd.DataFrame]], forecast_panel: Partitioned, opponents: Partitioned
) -> dict[str, str]:
    """Return by name why a forecaster has nothing to judge; nothing of one that has rows, however few."""
    from allocator_pipeline.evaluation import lightgbm_opponent as lightgbm

    names = sorted({split(key)[0] for key in forecast_panel})
    absent = {name: NO_PANEL for name in names if name not in panels}
    for name in OPPONENTS:
        if name in panels and not any(len(opponents[str(year)]) for year in panels[name]):  # empty without the library
            absent[name] = lightgbm.WAS_NOT_INSTALLED if lightgbm.installed() else lightgbm.NOT_INSTALLED
    return absent


def write_forecast_page(summary: Mapping[str, Any], market: str, notes: Sequence[str], path: Path) -> str:
    """Write the HTML page of a summary atomically, with what the market's source says about its data.

    Returns
    -------
    str
        Its sha256.
    """
    from allocator_pipeline.evaluation.forecast_page import forecast_page

    payload = forecast_page(summary, market, notes).encode()
    write_bytes(path, payload)
    return sha256(payload)
