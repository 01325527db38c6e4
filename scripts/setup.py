"""Create .venv and install the pinned requirements; the second run has nothing to do.

Usage: ``python3 scripts/setup.py``. PYTHON=python3.12 in the environment chooses the interpreter; otherwise the one
that runs this file is taken if it fits, else the newest fitting one on the PATH. Standard library only, and no syntax
that an old Python cannot read, so that it can say what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
STAMP = VENV / ".installed"
LOG = VENV / "setup.log"
PROBE = "import sys; print(list(sys.version_info[:2]))"


class SetupError(Exception):
    """What went wrong and what to do about it."""


def version_of(python: str | Path) -> tuple[int, int] | None:
    """Version of an interpreter, or None if it cannot be run."""
    try:
        done = subprocess.run([str(python), "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        major, minor = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return major, minor


def fits(version: tuple[int, int] | None) -> bool:
    """Whether this project runs on a Python version."""
    return version is not None and OLDEST <= version <= NEWEST


def fitting_python() -> str:
    """Name an interpreter that fits: the one asked for, this one, or the newest on the PATH."""
    asked = os.environ.get("PYTHON")
    newest_first = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    tried = []
    for name in [asked] if asked else [sys.executable, *newest_first]:
        version = version_of(name)
        if fits(version):
            return name
        tried.append(f"{name} is " + ("Python {}.{}".format(*version) if version else "not a Python that runs"))
    raise SetupError(
        f"This project needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}; {', '.join(tried)}.\n"
        "What to do: install one of these versions, then run `make setup PYTHON=/path/to/python3.12`."
    )


def usable() -> bool:
    """Whether .venv works, was made in this folder (its scripts name it), and has the version asked for."""
    version = version_of(VENV / "bin" / "python")
    asked = os.environ.get("PYTHON")
    if not fits(version) or (asked and version_of(asked) != version):
        return False
    pip = VENV / "bin" / "pip"
    return pip.exists() and f"{VENV}{os.sep}" in pip.read_text()


def create_venv(python: str) -> None:
    """Make .venv anew."""
    if VENV.exists():
        print("Replacing .venv: it is broken, was moved here, or has another Python.", flush=True)
        shutil.rmtree(VENV)
    done = subprocess.run(
        [python, "-m", "venv", str(VENV)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            f"{python} could not create .venv:\n{done.stdout.strip()}\n"
            "What to do: install Python's venv and ensurepip (on Debian and Ubuntu the package python3-venv),"
            " then run `make setup` again."
        )


def fingerprint() -> str:
    """Name what the installation depends on: the pins and the Python version."""
    return f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {version_of(VENV / 'bin' / 'python')}"


def install() -> None:
    """Run pip once, with its output in the log and a count of packages on a terminal."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--requirement", str(REQUIREMENTS)]
    total = sum("==" in line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#"))
    print(f"Installing {total} packages into .venv (log: {LOG.relative_to(ROOT)})", flush=True)
    seen = 0
    pip = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
    )
    with open(LOG, "w") as log:
        for line in pip.stdout or ():
            log.write(line)
            if line.startswith(("Collecting", "Requirement already satisfied")) and sys.stdout.isatty():
                seen += 1
                print(f"\r  {min(seen, total)} of {total} {line.split('==')[0][-50:].strip():<60}", end="", flush=True)
    if seen:
        print()
    if pip.wait():
        tail = "".join(LOG.read_text().splitlines(keepends=True)[-15:])
        raise SetupError(
            f"pip could not install the requirements. The last lines of {LOG}:\n{tail}\n"
            "What to do: mend what they name (network, disk space, pip's own settings), then run `make setup` again,"
            f" or see more with:\n  {' '.join(command)}"
        )


def main() -> int:
    try:
        if not usable():
            create_venv(fitting_python())
        wanted = fingerprint()
        if not STAMP.exists() or STAMP.read_text() != wanted:
            STAMP.unlink(missing_ok=True)
            install()
        STAMP.write_text(wanted)  # in both cases: make goes by its time
    except SetupError as error:
        print(f"Setup failed. {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
