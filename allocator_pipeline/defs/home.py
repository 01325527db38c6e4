"""The Dagster home of a market: one folder, with the shipped dagster.yaml in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from allocator_pipeline.config import Settings

TEMPLATE = Path(__file__).parent / "dagster.yaml"


def dagster_home(settings: Settings) -> Path:
    """Create the home if it is not there, and point ``DAGSTER_HOME`` at it unless the user set one.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    Path
        Absolute.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / "dagster" / settings.market).absolute()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(TEMPLATE, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home
