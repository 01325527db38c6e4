"""Atomic writes and verified reads."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline import atomic
from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError, StorageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_canonical_json_is_one_form() -> None:
    assert atomic.canonical_json({"b": 1, "a": (1.5, None)}) == b'{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.canonical_json(float("inf"))


def test_write_bytes_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    atomic.write_bytes(path, b"old")
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["file.bin"]


def test_create_bytes_creates_once(tmp_path: Path) -> None:
    path = tmp_path / "000001.json"
    assert atomic.create_bytes(path, b"first")
    assert not atomic.create_bytes(path, b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["000001.json"]


def test_only_one_of_many_creates(tmp_path: Path) -> None:
    outcomes: list[bool] = []
    threads = [
        threading.Thread(target=lambda i=i: outcomes.append(atomic.create_bytes(tmp_path / "x", b"%d" % i)))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]


def test_write_folder_is_whole_and_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "v1"
    assert atomic.write_folder(folder, {"a": b"1", "b": b"2"})
    assert not atomic.write_folder(folder, {"a": b"other"})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"1", "b": b"2"}
    assert names(folder.parent) == ["v1"]


def test_publish_and_read(tmp_path: Path) -> None:
    pointer = tmp_path / "prices" / "2015.json"
    digest = atomic.publish(pointer, b"payload", ".parquet", {"rows": 3})
    assert atomic.read_published(pointer) == (b"payload", {"rows": 3})
    assert digest == atomic.sha256(b"payload")
    assert names(pointer.parent) == [f"2015.{digest[:16]}.parquet", "2015.json"]


def test_publishing_again_is_idempotent_and_anew_removes_the_old(tmp_path: Path) -> None:
    pointer = tmp_path / "2015.json"
    atomic.publish(pointer, b"one", ".parquet")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    atomic.publish(pointer, b"one", ".parquet")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    atomic.publish(pointer, b"two", ".parquet")
    assert atomic.read_published(pointer)[0] == b"two"
    assert len(names(tmp_path)) == 2


def test_what_a_process_that_died_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    pointer = tmp_path / "2015.json"
    atomic.publish(tmp_path / "2016.json", b"another", ".parquet")
    atomic.publish(pointer, b"one", ".parquet")
    left = {path.name: path.read_bytes() for path in tmp_path.glob("2015.*.parquet")}
    atomic.publish(pointer, b"two", ".json")
    for name, payload in left.items():  # as if it had died before it removed what it had replaced
        (tmp_path / name).write_bytes(payload)
    atomic.publish(pointer, b"two", ".json")
    assert atomic.read_published(pointer)[0] == b"two"
    assert atomic.read_published(tmp_path / "2016.json")[0] == b"another"
    assert len(names(tmp_path)) == 4


def test_of_several_that_publish_at_once_one_is_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    pointer = tmp_path / "2015.json"

    def publish(number: int) -> None:
        for count in range(40):
            atomic.publish(pointer, b"%d %d" % (number, count), ".parquet")
            atomic.read_published(pointer)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    assert atomic.read_published(pointer)[0].endswith(b" 39")
    assert len(names(tmp_path)) == 2


def test_publishing_mends_what_is_damaged(tmp_path: Path) -> None:
    pointer = tmp_path / "2015.json"
    atomic.publish(pointer, b"one", ".parquet")
    pointer.write_bytes(b"\xff{")
    atomic.publish(pointer, b"one", ".parquet")
    assert atomic.read_published(pointer)[0] == b"one"


def test_nothing_published_is_a_missing_partition(tmp_path: Path) -> None:
    with pytest.raises(MissingPartitionError, match=r"2015\.json"):
        atomic.read_published(tmp_path / "2015.json")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ".", "", "absent", "a\0b", 5, None])
def test_a_pointer_that_leads_elsewhere_is_refused(tmp_path: Path, name: object) -> None:
    description = {"file": name, "sha256": "0" * 64, "metadata": {}}
    pointer = tmp_path / "2015.json"
    pointer.write_bytes(atomic._sealed(description))
    with pytest.raises(CorruptArtifactError, match="cannot be trusted"):
        atomic.read_published(pointer)


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"{}", b'{"file": "x"}', b"\xff", b"null"])
def test_a_malformed_pointer_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "2015.json").write_bytes(content)
    with pytest.raises(CorruptArtifactError):
        atomic.read_published(tmp_path / "2015.json")


def test_changed_metadata_is_refused(tmp_path: Path) -> None:
    pointer = tmp_path / "2015.json"
    atomic.publish(pointer, b"one", ".parquet", {"rows": 3})
    pointer.write_bytes(atomic.canonical_json(json.loads(pointer.read_bytes()) | {"metadata": {"rows": 4}}))
    with pytest.raises(CorruptArtifactError, match="seal"):
        atomic.read_published(pointer)


def test_a_reader_sees_the_old_or_the_new_while_it_is_published_anew(tmp_path: Path) -> None:
    pointer, stop = tmp_path / "2015.json", threading.Event()
    atomic.publish(pointer, b"0" * 999, ".parquet")

    def writer() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            atomic.publish(pointer, b"%d" % count * 999, ".parquet")

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        for _ in range(300):
            payload = atomic.read_published(pointer)[0]
            assert payload == payload[: len(payload) // 999] * 999
    finally:
        stop.set()
        thread.join()


def test_equal_tables_give_equal_bytes_and_come_back() -> None:
    table = pd.DataFrame({"week": pd.to_datetime(["2015-01-05"]).as_unit("us"), "symbol": ["A"], "x": [0.1]})
    payload = atomic.table_bytes(table)
    assert payload == atomic.table_bytes(table.copy())
    pd.testing.assert_frame_equal(atomic.table_from_bytes(payload), table)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for write in (
        lambda: atomic.write_bytes(tmp_path / "file" / "x", b""),
        lambda: atomic.create_bytes(tmp_path / "file" / "x", b""),
        lambda: atomic.write_folder(tmp_path / "file" / "x", {}),
        lambda: atomic.publish(tmp_path / "file" / "x.json", b"", ".bin"),
    ):
        with pytest.raises(StorageError, match="Writing") as caught:
            write()
        assert str(tmp_path / "file") in str(caught.value.source)
