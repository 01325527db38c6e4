"""Names that the Hub sees: repositories, versions and files, each checked before it becomes part of a URL or a path."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from allocator_pipeline.errors import UnsafeNameError
from allocator_pipeline.paths import safe_name
from allocator_pipeline.registry.artifacts import MANIFEST, SUFFIXES

CARD = "README.md"
"""The model card; the Hub shows it as the repository's page."""

MAIN = "main"

_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_VERSION = re.compile(r"v[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{6}(-ft)?")


def checked_repo(name: str) -> str:
    """Return a repository's name unchanged if it is ``owner/name`` as the Hub spells it.

    Raises
    ------
    UnsafeNameError
        If it is not.
    """
    legal = len(name) <= 96 and "--" not in name and ".." not in name and not name.endswith(".git")
    if not legal or not _REPO.fullmatch(name):
        raise UnsafeNameError(
            f"{name[:120]!r} is no name of a repository.",
            todo="write owner/name in letters, digits and . _ - (at most 96 characters).",
        )
    return name


def checked_version(name: str) -> str:
    """Return a version unchanged if it is one of ours, such as ``v2021-12-27-b2d958-ft``.

    Raises
    ------
    UnsafeNameError
        If it is not.
    """
    if not _VERSION.fullmatch(name):
        raise UnsafeNameError(
            f"{name[:120]!r} is no version.", todo="write it as it is stored, such as v2021-12-27-b2d958."
        )
    return name


def checked_file(name: str) -> str:
    """Return a file's name unchanged if such a file may travel: safetensors and JSON of a version.

    Raises
    ------
    UnsafeNameError
        If it is of another type, or no plain name.
    """
    if PurePosixPath(safe_name(name, "file")).suffix not in SUFFIXES or name == MANIFEST:
        raise UnsafeNameError(
            f"The file {name[:120]!r} may not travel.", todo=f"keep to files that end in {' or '.join(SUFFIXES)}."
        )
    return name


def is_ours(path: str) -> bool:
    """Tell whether a path in a repository is one that an upload writes, and so may replace or remove."""
    return "/" not in path and (path == CARD or PurePosixPath(path).suffix in SUFFIXES)
