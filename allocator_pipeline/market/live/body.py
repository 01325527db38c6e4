"""What vendors' JSON is read with: nonsense is one typed error, and no number is anything but finite."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Any

from allocator_pipeline.errors import VendorDownError, VendorError


def read_object(body: bytes, vendor: str, name: str) -> dict[str, Any]:
    """Read the JSON object that a body is.

    Parameters
    ----------
    body : bytes
    vendor, name : str
        Source and symbol (or series), for errors.

    Raises
    ------
    VendorDownError
        If it is no JSON at all, such as a page that says that the vendor is down.
    VendorError
        If it is no JSON object, or holds NaN or infinity.
    """
    try:
        value = json.loads(body, parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise nonsense("is no JSON", vendor, name, VendorDownError) from None  # the cause would hold the body
    except (ValueError, RecursionError):
        raise nonsense("is no JSON that can be read", vendor, name) from None
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


def nonsense(why: str, vendor: str, name: str, kind: type[VendorError] = VendorError) -> VendorError:
    """Return the error for an answer that cannot be understood."""
    return kind(
        f"The answer {why}.",
        todo="run it again later; if that stays, the vendor has changed its format: report it.",
        source=vendor,
        symbol=name,
    )


def _refuse(constant: str) -> float:
    raise ValueError(constant)
