"""Artefacts made to do harm: refused, whatever their checksums say, and no planted code ever runs."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from allocator_pipeline.artifact import FORMAT, Identity
from allocator_pipeline.atomic import sha256
from allocator_pipeline.errors import CorruptArtifactError, UnsafeNameError
from allocator_pipeline.registry import artifacts as module
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline_tests.registry.conftest import make_artifact

ARTIFACT = make_artifact()


class Planted:
    """Touches a marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path):
    path = tmp_path / "planted"
    yield path
    assert not path.exists()


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[..., ArtifactStore]:
    """Store files of any name and content under a manifest that vouches for them."""

    def plant(stored: dict[str, bytes], **changes: Any) -> ArtifactStore:
        manifest = ARTIFACT.manifest()
        manifest["files"] = {
            name: {"sha256": sha256(payload), "bytes": len(payload)} for name, payload in stored.items()
        }
        folder = tmp_path / "models" / "ppo_lstm" / ARTIFACT.version
        folder.mkdir(parents=True)
        for name, payload in stored.items():
            if "/" not in name and "\0" not in name and len(name) < 256:
                (folder / name).write_bytes(payload)
        (folder / "manifest.json").write_bytes(module._seal(manifest | changes))
        return ArtifactStore(tmp_path / "models")

    return plant


def refuse(store: ArtifactStore) -> None:
    with pytest.raises(CorruptArtifactError, match="refused"):
        store.load("ppo_lstm", ARTIFACT.version)


def test_the_fixture_itself_is_accepted(hostile) -> None:
    assert hostile(dict(ARTIFACT.files)).load("ppo_lstm", ARTIFACT.version).files == ARTIFACT.files


@pytest.mark.parametrize(
    "name",
    ["model.zip", "policy.pth", "policy.pt", "scaler.pkl", "scaler.joblib", "array.npy", "run.py", "lib.so", "policy"],
)
def test_other_file_types(hostile, marker: Path, name: str) -> None:
    refuse(hostile({name: pickle.dumps(Planted(marker))}))


def test_a_pickle_in_disguise(hostile, marker: Path) -> None:
    refuse(hostile({"policy.safetensors": pickle.dumps(Planted(marker))}))


def test_a_pickle_as_json(hostile, marker: Path) -> None:
    refuse(hostile({"policy.json": pickle.dumps(Planted(marker))}))


def test_a_zip_in_disguise(hostile, marker: Path) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../planted", "x")
        archive.writestr("data.pkl", pickle.dumps(Planted(marker)))
    refuse(hostile({"policy.safetensors": buffer.getvalue()}))


def test_an_array_of_objects_in_disguise(hostile, marker: Path) -> None:
    buffer = BytesIO()
    np.save(buffer, np.array([Planted(marker)], dtype=object), allow_pickle=True)
    refuse(hostile({"policy.safetensors": buffer.getvalue()}))


GOOD = save({"w": np.zeros(4, dtype=np.float32)})


def with_header(header: Any, tail: bytes = b"\0" * 16) -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + tail


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0" * 7,
        (2**64 - 1).to_bytes(8, "little") + GOOD[8:],
        (module.MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * (module.MAX_HEADER_BYTES + 1),
        (100 * 2**20).to_bytes(8, "little") + GOOD[8:],
        with_header(b"{" * 100_000),
        with_header(b"not json"),
        with_header([]),
        with_header({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 999]}}),
        with_header({"w": {"dtype": "F32", "shape": [2**60, 2**60], "data_offsets": [0, 16]}}),
        with_header({"w": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}),
        with_header({"w": {"dtype": "OBJECT", "shape": [4], "data_offsets": [0, 16]}}),
        with_header({"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}),
        with_header({"w": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}}),
        with_header({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"\0" * 32),
    ],
)
def test_malformed_safetensors(hostile, payload: bytes) -> None:
    refuse(hostile({"policy.safetensors": payload}))


def test_files_that_are_too_large(hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    store = hostile({"policy.safetensors": GOOD})
    monkeypatch.setattr(module, "MAX_FILE_BYTES", len(GOOD) - 1)
    refuse(store)


def test_a_json_bomb(hostile) -> None:
    refuse(hostile({"policy.json": b"[" * 200_000}))


@pytest.mark.parametrize(
    "name",
    [
        "../../../planted.json",
        "/planted.json",
        "a/b.json",
        "..json/../x.json",
        "x\0.json",
        "x\n.json",
        "x" * 300 + ".json",
        ".json",
    ],
)
def test_names_that_lead_elsewhere(hostile, name: str) -> None:
    refuse(hostile({name: b"{}"}))


def test_a_file_that_the_manifest_does_not_list(hostile, tmp_path: Path) -> None:
    store = hostile(dict(ARTIFACT.files))
    (tmp_path / "models" / "ppo_lstm" / ARTIFACT.version / "sitecustomize.py").write_text("raise SystemExit")
    refuse(store)


@pytest.mark.parametrize("kind", ["file", "outside", "manifest", "version", "allocator", "pipe", "folder"])
def test_links_pipes_and_folders(hostile, tmp_path: Path, kind: str) -> None:
    store = hostile(dict(ARTIFACT.files))
    folder = tmp_path / "models" / "ppo_lstm" / ARTIFACT.version
    victim = folder / ("manifest.json" if kind == "manifest" else "policy.json")
    aside = tmp_path / "models" / "aside"
    if kind in ("file", "manifest"):
        victim.rename(aside)
        victim.symlink_to(aside)
    elif kind == "outside":
        (tmp_path / "outside.json").write_bytes(victim.read_bytes())
        victim.unlink()
        victim.symlink_to(tmp_path / "outside.json")
    elif kind == "version":
        folder.rename(aside)
        folder.symlink_to(aside)
    elif kind == "allocator":
        folder.parent.rename(aside)
        folder.parent.symlink_to(aside)
    else:
        victim.unlink()
        os.mkfifo(victim) if kind == "pipe" else victim.mkdir()
    refuse(store)


def test_a_link_that_leads_out_of_the_store(hostile, tmp_path: Path) -> None:
    store = hostile(dict(ARTIFACT.files))
    folder = tmp_path / "models" / "ppo_lstm"
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafeNameError, match="leads out"):
        store.load("ppo_lstm", ARTIFACT.version)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 0},
        {"format": FORMAT - 1},
        {"format": FORMAT + 1},
        {"format": None},
        {"config": {"seed": 1}},
        {"cutoff": "2010-01-04"},
        {"parent": "v2010-01-04-abcdef"},
        {"data_sha256": "f" * 64},
        {"name": "sac_lstm"},
        {"version": "v2099-01-01-abcdef"},
        {"identity_sha256": Identity("policy", "x", "2010-01-04", {}, "0").digest},
        {"files": []},
        {"files": {"policy.json": "x"}},
        {"files": {"policy.json": {"sha256": 5, "bytes": 5}}},
        {"files": {"policy.json": {}}},
    ],
)
def test_manifests_that_lie_or_are_old(hostile, changes: dict[str, Any]) -> None:
    refuse(hostile(dict(ARTIFACT.files), **changes))


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{}", b'"x"', b"[" * 100_000, b"\xff\xfe", b"NaN"])
def test_manifests_that_are_none(hostile, tmp_path: Path, content: bytes) -> None:
    store = hostile(dict(ARTIFACT.files))
    (tmp_path / "models" / "ppo_lstm" / ARTIFACT.version / "manifest.json").write_bytes(content)
    refuse(store)
