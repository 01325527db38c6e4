"""The Dagster home of a market: one folder, with the shipped dagster.yaml in it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import StorageError

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

    Raises
    ------
    StorageError
        If it cannot be created, or may not be written to.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / "dagster" / settings.market).absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(TEMPLATE, home / "dagster.yaml")
        if not os.access(home, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(
            f"Nothing can be written to {home}: {error.strerror}.",
            todo="set ALLOCATOR_DATA_DIR (or DAGSTER_HOME, if you have set it) to a folder that you may write to.",
            source=str(home),
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)
    return home
