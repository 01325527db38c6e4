"""Write requirements.txt: the exact versions, in this environment, of all that pyproject.toml's dependencies pull in.

Usage: ``.venv/bin/python scripts/pin.py`` after changing the dependencies and installing them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Exact versions of everything the package, its tests and its tools need, on Linux and macOS, Python 3.11 to 3.13.
# Written by scripts/pin.py from the dependencies in pyproject.toml; do not edit by hand.
"""
ACCELERATOR = ("cuda-", "nvidia-", "triton")
"""Beginnings of the names that torch itself pins exactly, on the platforms that have them."""


def declared(*extras: str) -> list[Requirement]:
    """Dependencies of pyproject.toml, with those of the named extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in lines]


def pins(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Installed version, by name, of the requirements and of all they require here; local parts (``+cpu``) dropped."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(requirement.name, frozenset(requirement.extras)) for requirement in requirements]
    while todo:
        name, extras = todo.pop()
        key = canonicalize_name(name)
        if (key, extras) in seen or key.startswith(ACCELERATOR):
            continue
        seen.add((key, extras))
        try:
            installed = distribution(name)
        except PackageNotFoundError as error:
            raise SystemExit(
                f"{name} is not installed: run `make setup`, or install the new dependency first."
            ) from error
        found[key] = Version(installed.version).public
        for line in installed.requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                todo.append((needed.name, frozenset(needed.extras)))
    return dict(sorted(found.items()))


def main() -> None:
    lines = [f"{name}=={version}\n" for name, version in pins(declared("dev")).items()]
    (ROOT / "requirements.txt").write_text(HEADER + "".join(lines))
    print(f"requirements.txt: {len(lines)} pins")


if __name__ == "__main__":
    main()
