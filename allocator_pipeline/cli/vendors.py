"""``make check-vendors``: ask each vendor of data once, with the user's keys, and say in plain words what works.

What is not configured is named and is no failure; keys are never shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import AllocatorError, ConfigurationError, VendorRefusedError
from allocator_pipeline.ingestion.asking import open_client
from allocator_pipeline.market.live.needs import FEEDS, feeds_of

WHAT = {
    "yahoo": ("daily bars, dividends and splits", ()),
    "alpaca": ("news, and a second source of prices", ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")),
    "edgar": ("fundamentals from filings", ("SEC_USER_AGENT",)),
    "alphavantage": ("fundamentals with release dates", ("ALPHAVANTAGE_API_KEY",)),
    "fred": ("macro series", ("FRED_API_KEY",)),
}
"""What each vendor is for, and the variables that it needs."""


def check_vendors(env: Mapping[str, str]) -> tuple[list[str], bool]:
    """Ask each vendor once.

    Parameters
    ----------
    env : mapping
        Holds keys, and the settings of the live market if it is the one chosen.

    Returns
    -------
    list of str, bool
        One line a vendor, and whether every vendor that is configured works.
    """
    used = _used(env)
    lines, well = [], True
    for vendor, (purpose, variables) in WHAT.items():
        missing = [name for name in variables if not env.get(name)]
        if missing:
            needed = vendor in used
            well &= not needed
            state = "NEEDED" if needed else "not configured"
            lines.append(f"{vendor:13}{state}: {purpose}. Set {' and '.join(missing)}.")
            continue
        try:
            lines.append(f"{vendor:13}works: {purpose}. {open_client(vendor, env).check()}")
        except AllocatorError as error:
            well = False
            lines.append(f"{vendor:13}{_state(error)}: {purpose}. {error.problem} What to do: {error.todo}")
    return lines, well


def _used(env: Mapping[str, str]) -> set[str]:
    """Return the vendors that the chosen market asks."""
    settings = Settings.from_env(env)
    return {FEEDS[feed] for feed in feeds_of(settings.live)} if settings.live is not None else set()


def _state(error: AllocatorError) -> str:
    if isinstance(error, VendorRefusedError):
        return "REFUSES"
    return "MISCONFIGURED" if isinstance(error, ConfigurationError) else "FAILS"


def main() -> int:
    """Print the lines.

    Returns
    -------
    int
        Exit status: 1 if something that is configured, or that the live market needs, does not work.
    """
    try:
        lines, well = check_vendors(os.environ)
    except AllocatorError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
