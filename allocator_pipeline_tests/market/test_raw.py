"""Answers of vendors are kept as they came, or are not there."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.errors import ConflictError, CorruptArtifactError, UnsafeNameError
from allocator_pipeline.market.raw import RawKey, RawStore

KEY = RawKey("yahoo", "bars", "BRK.B")
WHEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def put(store: RawStore, body: bytes, when: datetime = WHEN, key: RawKey = KEY):
    days = {"first": date(2024, 1, 2), "last": date(2024, 5, 3)}
    return store.put(key, body, fetched_at=when, **days, request={"path": "/v8"})


@given(body=st.binary(max_size=300))
@settings(max_examples=30)
def test_what_is_kept_comes_back(tmp_path_factory, body):
    store = RawStore(tmp_path_factory.mktemp("raw"))
    record = put(store, body)
    assert store.records(KEY) == [record]
    assert list(store.bodies(KEY)) == [(record, body)]
    assert put(store, body) == record


def test_records_come_oldest_first(tmp_path):
    store = RawStore(tmp_path)
    later = put(store, b"new", WHEN.replace(year=2025))
    earlier = put(store, b"old")
    assert store.records(KEY) == [earlier, later]
    assert store.names("yahoo", "bars") == ["BRK.B"]
    assert store.names("yahoo", "news") == []


def test_one_moment_holds_one_answer(tmp_path):
    store = RawStore(tmp_path)
    put(store, b"one")
    with pytest.raises(ConflictError, match="run it again"):
        put(store, b"two")
    assert [body for _, body in store.bodies(KEY)] == [b"one"]


@pytest.mark.parametrize("suffix", ["gz", "json"])
def test_every_flipped_byte_is_seen(tmp_path, suffix):
    store = RawStore(tmp_path)
    put(store, b"a body of some length")
    path = next(tmp_path.rglob(f"*.{suffix}"))
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x04
        path.write_bytes(bytes(flipped))
        found = None
        with contextlib.suppress(CorruptArtifactError):
            found = [body for _, body in store.bodies(KEY)]
        assert found in (None, [b"a body of some length"])  # a byte of gzip's header may change nothing of the body
        refused += found is None
    assert refused > len(whole) / 2


def test_an_absent_body_is_an_error(tmp_path):
    store = RawStore(tmp_path)
    put(store, b"x")
    next(tmp_path.rglob("*.gz")).unlink()
    with pytest.raises(CorruptArtifactError):
        list(store.bodies(KEY))


@pytest.mark.parametrize("damage", ["absent", "flipped"])
def test_the_record_that_the_error_names_is_what_has_to_be_removed(tmp_path, damage):
    """The body may stay: what is fetched again replaces it, and mends other records of the same body."""
    store = RawStore(tmp_path)
    put(store, b"a body")
    put(store, b"a body", WHEN.replace(year=2025))
    path = next(tmp_path.rglob("*.gz"))
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(CorruptArtifactError) as caught:
        list(store.bodies(KEY))
    named = tmp_path / "yahoo/bars/BRK.B/20240506T070809.000000Z.json"
    assert f"remove the record {named.relative_to(tmp_path)} " in caught.value.todo
    named.unlink()
    assert len(store.records(KEY)) == 1
    put(store, b"a body", WHEN.replace(year=2026))
    assert [body for _, body in store.bodies(KEY)] == [b"a body"] * 2


@pytest.mark.parametrize("name", ["../x", "/etc", "a\x00", "", "x" * 101])
def test_no_name_leads_out(name):
    with pytest.raises(UnsafeNameError):
        RawKey("yahoo", "bars", name)
