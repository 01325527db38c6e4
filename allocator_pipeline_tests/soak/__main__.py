"""``make soak``: 104 simulated weeks with failing reads and ten kills, beside the same weeks undisturbed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from allocator_pipeline_tests.soak.harness import soak
from allocator_pipeline_tests.soak.world import World


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Run a soak and say what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.05, help="of the market source's reads that fail")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", type=Path, help="a folder prepared before, or to prepare and keep")
    chosen = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        base = World(chosen.base or Path(folder) / "base")
        found = soak(base, Path(folder), chosen.weeks, chosen.kills, chosen.share, chosen.seed, _say)
    print(
        f"{chosen.weeks} weeks in {(time.monotonic() - start) / 60:.1f} minutes; "
        f"{len(found.failed_reads)} reads failed, champions verified {found.looks} times"
    )
    print(f"killed at {', '.join(found.killed_at) or 'no moment'}; runs hit: {'; '.join(found.interrupted) or 'none'}")
    print(
        "\n".join(f"differs: {name}" for name in found.differing) or "The store equals that of the undisturbed weeks."
    )
    undone = (
        [f"{chosen.kills - len(found.killed_at)} kills did not come"] if len(found.killed_at) < chosen.kills else []
    )
    undone += ["no read failed"] if chosen.share and not found.failed_reads else []
    print("\n".join(f"not shown: {line}" for line in undone), end="\n" if undone else "")
    return 1 if found.differing or undone else 0


if __name__ == "__main__":
    sys.exit(main())
