"""What vendors' JSON is read with: nonsense is one typed error, and no number is anything but finite."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Any

from allocator_pipeline.errors import VendorError


def read_object(body: bytes, vendor: str, name: str) -> dict[str, Any]:
    """Read the JSON object that a body is.

    Parameters
    ----------
    body : bytes
    vendor, name : str
        Source and symbol (or series), for errors.

    Raises
    ------
    VendorError
        If it is no JSON object, or holds NaN or infinity.
    """
    try:
        value = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise nonsense("is no JSON", vendor, name) from None  # the cause would hold the body
    if not isinstance(value, dict):
        raise nonsense("is no JSON object", vendor, name)
    return value


def read_number(value: object) -> float:
    """Return a number that JSON holds as a number or as text.

    Raises
    ------
    ValueError
        If it is anything else, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError("too large") from error
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def read_day(value: object) -> date:
    """Return a day that JSON holds as YYYY-MM-DD.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if not isinstance(value, str) or len(value) != 10:
        raise ValueError("no day")
    return date.fromisoformat(value)


def nonsense(why: str, vendor: str, name: str) -> VendorError:
    """Return the error for an answer that cannot be understood."""
    return VendorError(
        f"The answer {why}.",
        todo="run it again later; if that stays, the vendor has changed its format: report it.",
        source=vendor,
        symbol=name,
    )


def _refuse(constant: str) -> float:
    raise ValueError(constant)
