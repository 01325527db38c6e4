"""Look every pinned version up in the advisory database; fail on what is vulnerable or could not be looked up.

Usage: ``.venv/bin/python scripts/audit.py``. audit-waivers.toml lists what is let pass, with a reason and a last day.
pip-audit by itself succeeds when it reaches no advisories at all; this program counts what was looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2


def waivers(text: str, today: date) -> dict[str, str]:
    """Read waivers by advisory; raise ValueError on one without a reason or day, or past its day."""
    found = {}
    for entry in tomllib.loads(text).get("waiver", []):
        if not isinstance(entry.get("until"), date) or not entry.get("reason") or not entry.get("id"):
            raise ValueError(f"the waiver {entry} needs an id, a reason and a last day (until = 2027-06-30)")
        if entry["until"] < today:
            raise ValueError(
                f"the waiver of {entry['id']} ended on {entry['until']}: renew it with a reason or mend it"
            )
        found[entry["id"]] = entry["reason"]
    return found


def judge(packages: Sequence[Mapping[str, Any]], waived: Mapping[str, str]) -> tuple[int, list[str]]:
    """Turn pip-audit's list of packages into an exit code and the lines that say why."""
    lines, vulnerable, unknown, used = [], 0, 0, set()
    for package in packages:
        if "skip_reason" in package:
            unknown += 1
        for advisory in package.get("vulns", []):
            names = {advisory["id"], *advisory.get("aliases", [])}
            fixed = ", ".join(advisory.get("fix_versions", [])) or "no version yet"
            line = f"{package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}"
            if names & waived.keys():
                used |= names & waived.keys()
                lines.append(f"waived      {line} ({waived[min(names & waived.keys())]})")
            else:
                vulnerable += 1
                lines.append(f"VULNERABLE  {line}")
    if not unknown:
        lines += [f"the waiver of {name} is no longer needed: remove it" for name in sorted(waived.keys() - used)]
    lines.append(
        f"{len(packages) - unknown} of {len(packages)} packages looked up, {vulnerable} vulnerabilities to mend"
    )
    if vulnerable:
        return VULNERABLE, lines
    if unknown or not packages:
        return UNKNOWN, [
            *lines,
            "Not everything could be looked up: run it again where the advisory database is reachable.",
        ]
    return CLEAN, lines


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "requirements.txt")]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    try:
        waived = waivers((ROOT / "audit-waivers.toml").read_text(), datetime.now(UTC).date())
    except ValueError as error:
        print(f"audit-waivers.toml: {error}", file=sys.stderr)
        return VULNERABLE
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        print(f"pip-audit did not finish:\n{done.stderr.strip()[-2000:]}", file=sys.stderr)
        return UNKNOWN
    code, lines = judge(json.loads(done.stdout)["dependencies"], waived)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
