"""What verdicts were made from, kept for good under its own hash, so that each can be made again.

Reports are published anew when their year goes on; a copy that nothing replaces lies here. Files are JSON, compressed;
the name is the sha256 of the JSON itself.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from allocator_pipeline.atomic import canonical_json, create_bytes, sha256
from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError
from allocator_pipeline.paths import inside

MAX_BYTES = 64 * 2**20
"""An input that unpacks to more is refused."""


class InputStore:
    """JSON values by hash.

    Parameters
    ----------
    root : Path
        Holds ``<sha256>.json.gz``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep(self, value: Any) -> str:
        """Keep a JSON value and return its sha256; what is kept already stays as it is.

        Raises
        ------
        StorageError
            If the file system refuses.
        """
        payload = canonical_json(value)
        digest = sha256(payload)
        path = self._path(digest)
        if not path.exists():
            create_bytes(path, gzip.compress(payload, mtime=0))
        return digest

    def read(self, digest: str) -> Any:
        """Return the value of a hash, verified.

        Raises
        ------
        MissingPartitionError
            If it is not kept here.
        CorruptArtifactError
            If it is another value.
        """
        path = self._path(digest)
        try:
            packed = path.read_bytes()
        except FileNotFoundError as error:
            raise MissingPartitionError(
                f"The input {digest[:12]} of a verdict is not kept here.",
                todo="restore the registry folder from a backup.",
                source=str(path),
            ) from error
        try:
            payload = zlib.decompressobj(wbits=31).decompress(packed, MAX_BYTES)  # 31: of gzip
            if sha256(payload) != digest:
                raise ValueError("it is not what its name says")
            return json.loads(payload)
        except (zlib.error, ValueError, RecursionError) as error:
            raise CorruptArtifactError(
                f"The input {digest[:12]} of a verdict cannot be trusted: {error}.",
                todo="restore the registry folder from a backup.",
                source=str(path),
            ) from error

    def _path(self, digest: str) -> Path:
        return inside(self.root, f"{digest}.json.gz")
