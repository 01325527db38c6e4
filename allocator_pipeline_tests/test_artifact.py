"""Artefact identities: everything that shapes a model changes its version, and nothing else does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from allocator_pipeline.artifact import LIBRARIES, Artifact, Identity
from allocator_pipeline.atomic import sha256

IDENTITY = Identity("policy", "ppo_lstm", "2015-12-28", {"lr": 3e-4, "sizes": (64, 64), "seed": 42}, "a" * 64)


def test_a_version_names_cut_off_and_hash() -> None:
    assert re.fullmatch(r"v2015-12-28-[0-9a-f]{6}", IDENTITY.version)
    assert re.fullmatch(r"v2015-12-28-[0-9a-f]{6}-ft", replace(IDENTITY, parent=IDENTITY.version).version)
    assert IDENTITY.digest.startswith(IDENTITY.version[-6:])


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "forecaster"},
        {"name": "sac_lstm"},
        {"cutoff": "2016-01-04"},
        {"config": {"lr": 1e-4, "sizes": (64, 64), "seed": 42}},
        {"config": {"lr": 3e-4, "sizes": (64, 64), "seed": 43}},
        {"config": {"lr": 3e-4, "sizes": (64, 64)}},
        {"data": "b" * 64},
        {"parent": "v2014-12-29-abcdef"},
    ],
)
def test_whatever_shapes_a_model_changes_its_digest(changes: dict) -> None:
    assert replace(IDENTITY, **changes).digest != IDENTITY.digest


def test_the_order_of_settings_and_lists_for_tuples_do_not() -> None:
    assert replace(IDENTITY, config={"seed": 42, "sizes": [64, 64], "lr": 3e-4}).digest == IDENTITY.digest


def test_a_setting_that_is_no_number_cannot_be_hashed() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = replace(IDENTITY, config={"lr": float("nan")}).digest


def test_the_manifest_describes_every_file() -> None:
    artifact = Artifact(IDENTITY, {"b.json": b"{}", "a.json": b"[1]"}, {"rows": 5})
    manifest = artifact.manifest()
    assert list(manifest["files"]) == ["a.json", "b.json"]
    assert manifest["files"]["b.json"] == {"sha256": sha256(b"{}"), "bytes": 2}
    assert (manifest["version"], manifest["identity_sha256"]) == (IDENTITY.version, IDENTITY.digest)
    assert set(manifest["libraries"]) == set(LIBRARIES)
    assert manifest["facts"] == {"rows": 5}


def test_facts_and_files_do_not_change_the_version() -> None:
    assert Artifact(IDENTITY, {}).version == Artifact(IDENTITY, {"a.json": b"{}"}, {"rows": 5}).version
