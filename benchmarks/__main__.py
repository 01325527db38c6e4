"""Run the benchmarks: ``python -m benchmarks [ONLY-name]``.

Prints a line for each row and keeps them in ``results/bench.json`` of the data folder. A file in ``benchmarks/rows`` is
a row: its name is the row's, its function ``row()`` prepares it.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # before numpy is imported
    from allocator_pipeline.atomic import write_bytes
    from allocator_pipeline.config import Settings
    from benchmarks import rows
    from benchmarks.row import measure

    names = sorted(module.name for module in pkgutil.iter_modules(rows.__path__))
    wanted = arguments or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        print(f"There is no row {', '.join(unknown)}. Rows: {', '.join(names)}.", file=sys.stderr)
        return 2
    target = Settings.from_env().data_dir / "results" / "bench.json"
    results = _read(target)
    for name in wanted:
        row = importlib.import_module(f"benchmarks.rows.{name}").row()
        result = measure(name, row)
        results[name] = result
        write_bytes(target, json.dumps([results[key] for key in sorted(results)], indent=1).encode() + b"\n")
        print(f"{name}: {row.recipe}")
        print(f"  ours {result['ours']:,.0f}, reference {result['reference']:,.0f} {row.unit}")
        print(f"  ratio: min {result['min']:.1f}, median {result['ratio']:.1f}, max {result['max']:.1f}")
        if row.breakdown:
            parts = row.breakdown()
            print("  ours, CPU ms: " + ", ".join(f"{part} {amount:.3f}" for part, amount in parts.items()))
    print(f"Kept in {target}.")
    return 0


def _read(path: Path) -> dict[str, dict[str, object]]:
    if not path.exists():
        return {}
    return {result["name"]: result for result in json.loads(path.read_bytes())}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
