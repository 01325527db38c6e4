"""Stored asset partitions, as far as the registry needs to know what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import read_published
from allocator_pipeline.paths import inside


def stored_partitions(assets: Path, asset: str, allocator: str) -> dict[str, Any]:
    """Return what an asset holds about an allocator.

    Parameters
    ----------
    assets : Path
        Folder of a market's asset partitions.
    asset : str
        One whose partitions are JSON.
    allocator : str

    Returns
    -------
    dict
        Partition key -> value, in the order of the keys.

    Raises
    ------
    CorruptArtifactError
        If a partition does not verify.
    """
    folder = inside(assets, asset)
    pointers = sorted([*folder.glob(f"{allocator}.json"), *folder.glob(f"{allocator}+*.json")])
    return {
        pointer.stem.replace("+", "|"): json.loads(read_published(pointer)[0])
        for pointer in pointers
        if not pointer.name.endswith(".payload.json")
    }
