"""When each name of a feed last failed, so that who fails waits in line like who is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from allocator_pipeline.atomic import canonical_json, write_bytes
from allocator_pipeline.paths import inside


class LastFailed:
    """What is on record of a feed's failures. It decides in which order names are asked about, and nothing else.

    Parameters
    ----------
    root : Path
        Folder of the raw data.
    feed : str
    """

    def __init__(self, root: Path, feed: str) -> None:
        self._path = inside(root, "failed", feed)

    def moments(self) -> dict[str, str]:
        """Return when each name last failed (ISO, UTC); nothing where that cannot be read."""
        try:
            told = json.loads(self._path.read_bytes())
            return {str(name): datetime.fromisoformat(moment).isoformat() for name, moment in told.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    def add(self, name: str) -> None:
        """Note that a name has failed now.

        Raises
        ------
        StorageError
            If the file system refuses.
        """
        write_bytes(self._path, canonical_json({**self.moments(), name: datetime.now(UTC).isoformat()}))
