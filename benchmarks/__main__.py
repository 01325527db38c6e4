"""Run the benchmarks: ``python -m benchmarks [NAME ...]``.

Prints a paragraph for each row and keeps them in ``results/bench.json`` of the data folder. A file in
``benchmarks/rows`` is a row: its name is the row's, its function ``row()`` prepares it.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
import warnings
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # before numpy is imported
    from allocator_pipeline.config import Settings
    from benchmarks import rows
    from benchmarks.row import Skipped, lines, measure

    names = sorted(module.name for module in pkgutil.iter_modules(rows.__path__))
    wanted = arguments or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        print(f"There is no row {', '.join(unknown)}. Rows: {', '.join(names)}.", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", module="stable_baselines3")  # what it would rather have is not ours to choose
    target = Settings.from_env().data_dir / "results" / "bench.json"
    for name in wanted:
        row = importlib.import_module(f"benchmarks.rows.{name}").row()
        if isinstance(row, Skipped):
            print(f"{name}: skipped, {row.reason}", flush=True)
            continue
        result = measure(name, row)
        print("\n".join(lines(result)), flush=True)
        keep(target, result)
    print(f"Kept in {target}.")
    return 0


def keep(target: Path, result: dict[str, Any]) -> None:
    """Put a result among those kept; that of the same row is replaced, others stay."""
    from allocator_pipeline.atomic import write_bytes

    results = _read(target) | {result["name"]: result}
    text = json.dumps([results[name] for name in sorted(results)], indent=1, allow_nan=False)
    write_bytes(target, text.encode() + b"\n")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    return {result["name"]: result for result in json.loads(path.read_bytes())}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
