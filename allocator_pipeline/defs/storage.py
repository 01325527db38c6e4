"""Where asset partitions live: one published object each, below ``<market_dir>/assets/<asset>/``.

A table is stored as parquet, state tensors as safetensors and everything else as JSON; each is verified on every read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from allocator_pipeline import atomic
from allocator_pipeline.errors import ConfigurationError, MissingPartitionError
from allocator_pipeline.paths import inside
from allocator_pipeline.portfolio.state import StateTensors

CLAIM = "settings.json"
"""File that records the settings behind a store's results."""


class AssetStore:
    """Read and write asset partitions.

    Parameters
    ----------
    root : Path
        Folder of one market's assets.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def pointer(self, asset: str, key: str) -> Path:
        """Return the pointer file of a partition; names are checked."""
        return inside(self.root, asset, f"{key.replace('|', '+')}.json")

    def write(self, asset: str, key: str, value: Any) -> tuple[str, int]:
        """Publish one partition atomically.

        Returns
        -------
        tuple of (str, int)
            sha256 and size in bytes of the payload.
        """
        if isinstance(value, pd.DataFrame):
            payload, suffix, facts = atomic.table_bytes(value), ".parquet", {"rows": len(value)}
        elif isinstance(value, StateTensors):
            payload, suffix, facts = value.to_bytes(), ".safetensors", {"weeks": len(value)}
        else:
            payload, suffix, facts = atomic.canonical_json(value), ".payload.json", {}
        return atomic.publish(self.pointer(asset, key), payload, suffix, {**facts, "kind": suffix}), len(payload)

    def read(self, asset: str, key: str) -> Any:
        """Read one partition and verify it.

        Raises
        ------
        MissingPartitionError
            If it was never materialised; the message names asset and partition.
        CorruptArtifactError
            If it fails its checksum.
        """
        if not self.has(asset, key):
            raise self.missing(asset, key)
        payload, facts = atomic.read_published(self.pointer(asset, key))
        if facts["kind"] == ".parquet":
            return atomic.table_from_bytes(payload)
        if facts["kind"] == ".safetensors":
            return StateTensors.from_bytes(payload)
        return json.loads(payload)

    def missing(self, asset: str, key: str) -> MissingPartitionError:
        """Return the error about a partition that is not stored."""
        return MissingPartitionError(
            f"The partition {key!r} of {asset!r} has not been materialised.",
            todo=f"materialise {asset} for {key} first (in the UI: Assets, {asset}, Materialize).",
        )

    def digest(self, asset: str, key: str) -> str:
        """Return the sha256 of a partition's payload, verified."""
        return atomic.sha256(atomic.read_published(self.pointer(asset, key))[0])

    def check_claim(self, claim: str) -> None:
        """Check that what is stored was made with the settings that ``claim`` describes, if anything is stored.

        Raises
        ------
        ConfigurationError
            Naming the settings that differ.
        """
        path = self.root / CLAIM
        if not path.is_file():
            return
        stored, wanted = json.loads(path.read_bytes()), json.loads(claim)
        differing = sorted(name for name in {*stored, *wanted} if stored.get(name) != wanted.get(name))
        if differing:
            told = "; ".join(f"{name} was {stored.get(name)} and is {wanted.get(name)}" for name in differing)
            raise ConfigurationError(
                f"This data folder holds results of other settings: {told}.",
                todo="set ALLOCATOR_DATA_DIR to another folder, or set back what was changed.",
                source=str(self.root),
            )

    def claim(self, claim: str) -> None:
        """Record the settings with the first result, and check them with every later one.

        Raises
        ------
        ConfigurationError
            If results of other settings are stored.
        """
        if not atomic.create_bytes(self.root / CLAIM, claim.encode()):
            self.check_claim(claim)

    def has(self, asset: str, key: str) -> bool:
        """Tell whether a partition is stored."""
        return self.pointer(asset, key).is_file()

    def keys(self, asset: str) -> list[str]:
        """Return the stored partition keys of an asset, sorted."""
        folder = inside(self.root, asset)
        return sorted(
            path.stem.replace("+", "|")
            for path in folder.glob("*.json")
            if not path.name.endswith(".payload.json") and not path.name.startswith(".")
        )


class Partitioned(Mapping[str, Any]):
    """The upstream partitions an input maps to, read when they are asked for.

    Length and iteration tell which keys the mapping names; `stored` tells which of them exist. Asking for one that does
    not exist raises `MissingPartitionError`.

    Parameters
    ----------
    store : AssetStore
    asset : str
    keys : sequence of str
    """

    def __init__(self, store: AssetStore, asset: str, keys: list[str]) -> None:
        self._store, self._asset, self._keys = store, asset, sorted(keys)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise MissingPartitionError(
                f"The partition {key!r} of {self._asset!r} is not an input of this step.",
                todo="ask for a partition that the mapping names.",
            )
        return self._store.read(self._asset, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def stored(self) -> list[str]:
        """Return the keys that exist, sorted."""
        return [key for key in self._keys if self._store.has(self._asset, key)]

    def check_stored(self) -> None:
        """Check that every key exists.

        Raises
        ------
        MissingPartitionError
            Naming the first that does not.
        """
        stored = set(self.stored())
        for key in self._keys:
            if key not in stored:
                raise self._store.missing(self._asset, key)

    def table(self, first: str | None = None, last: str | None = None) -> pd.DataFrame:
        """Join the stored tables whose keys lie from ``first`` to ``last``, both included.

        Raises
        ------
        MissingPartitionError
            If none is stored.
        """
        keys = [key for key in self.stored() if (first is None or key >= first) and (last is None or key <= last)]
        if not keys:
            raise MissingPartitionError(
                f"No partition of {self._asset!r} from {first} to {last} has been materialised.",
                todo=f"materialise {self._asset} first.",
            )
        return pd.concat([self[key] for key in keys], ignore_index=True)
