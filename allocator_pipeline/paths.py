"""Names that become paths: checked, so that nothing is ever written outside the data folder."""

from __future__ import annotations

import re
from pathlib import Path

from allocator_pipeline.errors import UnsafeNameError

_SAFE = re.compile(r"[A-Za-z0-9^=_][A-Za-z0-9.^=_|+-]{0,99}")


def safe_name(name: str, kind: str = "name") -> str:
    """Return the name unchanged if it can be one path component.

    Letters, digits and ``. ^ = _ | + -`` are legal, 100 characters at most; it may not start with a dot or a dash.
    ``BRK.B``, ``^GSPC`` and ``ppo_lstm|2019-12-30`` are legal; ``../x``, ``/etc`` and control characters are not.

    Parameters
    ----------
    name : str
        A symbol, partition key, version or the like.
    kind : str
        What the name is, for the message.

    Returns
    -------
    str

    Raises
    ------
    UnsafeNameError
        If the name is not legal.
    """
    if not isinstance(name, str) or not _SAFE.fullmatch(name) or ".." in name:
        raise UnsafeNameError(
            f"The {kind} {str(name)[:120]!r} cannot be used as a file name.",
            todo="use letters, digits and . ^ = _ | + - only (at most 100 characters, no leading dot or dash).",
        )
    return name


def inside(root: Path, *parts: str) -> Path:
    """Join checked components below a root.

    Parameters
    ----------
    root : Path
        The folder that nothing may leave.
    *parts : str
        Components, each checked by `safe_name`.

    Returns
    -------
    Path

    Raises
    ------
    UnsafeNameError
        If a component is not legal, or a symbolic link leads out of the root.
    """
    path = root.joinpath(*(safe_name(part, "path component") for part in parts))
    if not path.resolve().is_relative_to(root.resolve()):
        raise UnsafeNameError(f"{path} leads out of {root}.", todo="remove the symbolic link.", source=str(root))
    return path
