"""Experience as files for others: one JSON a run, as the training plan names them, and all of it as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline.atomic import canonical_json, table_bytes, write_bytes
from allocator_pipeline.experience.records import Experience
from allocator_pipeline.experience.store import EXPORTED, ExperienceStore
from allocator_pipeline.paths import inside

TABLE = "experience.parquet"

_FLOATS = ("turnover", "realized_turnover", "cost", "realized_return", "reward")


def run_values(row: Experience) -> dict[str, Any]:
    """Return one run as JSON values: the fields of decision and label, the label's None while it is pending.

    A state also names its forecasts ``forecast_feature``, as the plan does.
    """
    known: dict[str, Any] = asdict(row.decision) | (asdict(row.label) if row.label is not None else {})
    values = {name: known.get(name) for name in EXPORTED}
    return values | {name: _state(values[name]) for name in ("state", "next_state")}


def run_file(run_id: str) -> str:
    """Return the file name of a run: colons, which not every file system takes, become ``+``."""
    return f"{run_id.replace(':', '+')}.json"


def export_table(rows: Sequence[Experience]) -> pd.DataFrame:
    """Return runs as a table whose column types do not depend on which labels are there.

    Parameters
    ----------
    rows : sequence of Experience

    Returns
    -------
    DataFrame
        A column for each field, in the order of `store.EXPORTED`; nested values are JSON text, labels missing while
        pending.
    """
    table = pd.DataFrame([[_flat(value) for value in run_values(row).values()] for row in rows], columns=list(EXPORTED))
    kinds = {name: "float64" if name in _FLOATS else "int64" if name == "attempt" else "str" for name in EXPORTED}
    return table.astype(kinds)


def export_experience(store: ExperienceStore, folder: Path) -> dict[str, int]:
    """Write every run and the table; what is there already with the same bytes is left alone.

    Parameters
    ----------
    store : ExperienceStore
    folder : Path
        Receives ``<run_id>.json`` of each run and ``experience.parquet``; each file is its old self or its new one.

    Returns
    -------
    dict
        ``runs``, of these ``labelled``, and the files ``written``.

    Raises
    ------
    CorruptArtifactError
        If a row fails its seal.
    StorageError
        If the file system refuses.
    """
    rows = store.records()
    payloads = {run_file(row.decision.run_id): canonical_json(run_values(row)) for row in rows}
    written = sum(_write(inside(folder, name), payload) for name, payload in payloads.items())
    written += _write(inside(folder, TABLE), table_bytes(export_table(rows)))
    return {"runs": len(rows), "labelled": sum(row.label is not None for row in rows), "written": written}


def _state(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if state is None else {**state, "forecast_feature": state["forecasts"]}


def _flat(value: Any) -> Any:
    return canonical_json(value).decode() if isinstance(value, dict | list | tuple) else value


def _write(path: Path, payload: bytes) -> bool:
    """Write a file unless it holds these bytes; tell whether it was written."""
    if path.is_file() and path.read_bytes() == payload:
        return False
    write_bytes(path, payload)
    return True
