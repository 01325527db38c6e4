"""Names that become paths: legal ones round-trip, hostile ones leave nothing outside the data folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.errors import UnsafeNameError
from allocator_pipeline.paths import inside, safe_name

LEGAL = [
    "AAPL",
    "BRK.B",
    "^GSPC",
    "RDS-A",
    "EURUSD=X",
    "BF_B",
    "0700.HK",
    "2019-12-30",
    "lstm|2020",
    "ppo_lstm|2019-12-30",
    "v2025-01-08-abc123-ft",
    "paper_2026-01-12",
    "a+b",
    "x" * 100,
]
HOSTILE = [
    "",
    ".",
    "..",
    "../..",
    "../../etc/passwd",
    "/etc/passwd",
    "\\\\server\\share",
    "C:\\windows",
    "a/b",
    "a\\b",
    "a..b",
    ".hidden",
    "-rf",
    "A\0B",
    "A\nB",
    "AAPL\n",
    "A\tB",
    "A B",
    " AAPL",
    "x" * 101,
    "x" * 300,
    "'; DROP TABLE experience; --",
    "$(touch marker)",
    "`id`",
    "%2e%2e%2f",
    "é",
    "A\u202eB",
    "\uff0e\uff0e",
    "a:b",
    "*",
    "?",
    "~",
    "~root",
]


@pytest.mark.parametrize("name", LEGAL)
def test_legal_names_round_trip(tmp_path, name):
    path = inside(tmp_path, name)
    path.write_text(name)

    assert safe_name(name) == name
    assert [child.name for child in tmp_path.iterdir()] == [name]
    assert path.read_text() == name


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(tmp_path, name):
    with pytest.raises(UnsafeNameError, match="symbol") as caught:
        safe_name(name, "symbol")
    assert len(str(caught.value)) < 800
    with pytest.raises(UnsafeNameError):
        inside(tmp_path, "prices", name)
    with pytest.raises(UnsafeNameError):
        inside(tmp_path, name, "prices")


@pytest.mark.parametrize("value", [None, 7, b"AAPL", Path("AAPL"), ["AAPL"]])
def test_only_text_is_a_name(value):
    with pytest.raises(UnsafeNameError):
        safe_name(value)


@given(st.text(max_size=120))
def test_whatever_passes_stays_inside(name):
    root = Path("/srv/data")
    try:
        path = inside(root, name)
    except UnsafeNameError:
        return
    assert path.parent == root
    assert path.name == name
    assert len(os.fsencode(name)) <= 100


def test_a_link_that_leads_out_is_refused(tmp_path):
    root, outside = tmp_path / "data", tmp_path / "elsewhere"
    root.mkdir()
    outside.mkdir()
    (root / "prices").symlink_to(outside)

    with pytest.raises(UnsafeNameError, match="leads out"):
        inside(root, "prices", "2015.json")


def test_a_link_within_the_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "prices").symlink_to(tmp_path / "disk")

    assert inside(tmp_path, "prices", "2015.json") == tmp_path / "prices" / "2015.json"
