"""Orders as files, for whoever places them: nothing here sends them anywhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import canonical_json, write_bytes
from allocator_pipeline.paths import inside

COLUMNS = ("symbol", "side", "notional", "status", "client_order_id")


def write_orders(folder: Path, allocator: str, week: str, orders: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write the preview of a week's orders as JSON and CSV, sells before buys; the same orders give the same bytes.

    Parameters
    ----------
    folder : Path
    allocator, week : str
        Name the files: ``<allocator>/<week>.json`` and ``.csv``.
    orders : sequence of mapping
        As `portfolio.orders.orders_preview` returns them.

    Returns
    -------
    list of Path

    Raises
    ------
    StorageError
        If the file system refuses.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: order[name] for name in COLUMNS} for order in orders)
    payloads = {"json": canonical_json([dict(order) for order in orders]), "csv": text.getvalue().encode()}
    paths = [inside(folder, allocator, f"{week}.{suffix}") for suffix in payloads]
    for path, payload in zip(paths, payloads.values(), strict=True):
        write_bytes(path, payload)
    return paths
