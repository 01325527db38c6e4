"""`make setup`: what it installs once, and what it says where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "setup.py"


def setup(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    command = [sys.executable, str(folder / "scripts" / "setup.py")]
    return subprocess.run(
        command, env={**clean, "PIP_NO_INDEX": "1", **env}, capture_output=True, text=True, check=False
    )


def fake_python(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, folder / "scripts")
    (folder / "requirements.txt").write_text("# nothing to install\n")
    return folder


def test_a_python_too_old_is_named_with_what_fits(checkout, tmp_path):
    done = setup(checkout, PYTHON=fake_python(tmp_path / "python3.9", "echo '[3, 9]'"))
    assert done.returncode == 2
    assert "needs Python 3.11 to 3.13" in done.stderr
    assert "python3.9 is Python 3.9" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def test_a_python_that_is_not_there_is_named(checkout):
    done = setup(checkout, PYTHON="/nowhere/python3.12")
    assert done.returncode == 2
    assert "/nowhere/python3.12 is not a Python that runs" in done.stderr


def test_a_missing_ensurepip_names_the_package_and_leaves_nothing(checkout, tmp_path):
    python = fake_python(
        tmp_path / "python3.12",
        "[ \"$1\" = -c ] && echo '[3, 12]' && exit 0; echo 'ensurepip is not available'; exit 1",
    )
    done = setup(checkout, PYTHON=python)
    assert done.returncode == 2
    assert "ensurepip is not available" in done.stderr
    assert "python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_installs_once_says_what_failed_and_survives_a_move(checkout, tmp_path):
    log = checkout / ".venv" / "setup.log"
    first = setup(checkout)
    assert first.returncode == 0, first.stderr
    assert log.exists()

    log.unlink()
    assert setup(checkout).returncode == 0
    assert not log.exists(), "the second run called pip again"

    (checkout / "requirements.txt").write_text("no-such-package==1.0\n")
    failed = setup(checkout)
    assert failed.returncode == 2
    assert str(log) in failed.stderr
    assert "no-such-package" in failed.stderr
    assert "-m pip install --requirement" in failed.stderr
    assert setup(checkout).returncode == 2, "a failed installation counted as done"

    (checkout / "requirements.txt").write_text("# nothing to install\n")
    moved = checkout.rename(tmp_path / "moved")
    done = setup(moved)
    assert done.returncode == 0, done.stderr
    assert "Replacing .venv" in done.stdout
