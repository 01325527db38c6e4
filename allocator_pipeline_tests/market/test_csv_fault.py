"""A CSV file that cannot be read is an error that names the row and the line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.csv_fault import csv_fault
from allocator_pipeline.market.external import read_external
from allocator_pipeline.market.tabular import Column, read_table

HEAD = b"symbol,week,forecast\n"
COLUMNS = {"symbol": Column("text", ("symbol",))}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (HEAD + b"GE,2015-01-05,0.1\nGE,2015-01-05,0.1,7\n", "row 2 (line 3) has 4 values, but the header has 3 names"),
        (HEAD + b'"G\nE",2015-01-05,0.1\nGE,2015-01-05,0,1\n', "row 2 (line 4) has 4 values"),
        (HEAD + b"GE,2015-01-05,0.1\ncaf\xe9,2015-01-05,0.1\n", "row 2 (line 3) is not UTF-8"),
        (HEAD + b'"G\nE",2015-01-05,0.1\ncaf\xe9,2015-01-05,0.1\n', "row 2 (line 4) is not UTF-8"),
        (b"\xef\xbb\xbf" + HEAD + b"GE,2015-01-05,0.1\ncaf\xe9,2015-01-05,0\n", "row 2 (line 3) is not UTF-8"),
        (b"symbol,caf\xe9\nGE,1\n", "the header (line 1) is not UTF-8"),
        ("symbol,forecast\nGE,1\n".encode("utf-16"), "the header (line 1) is not UTF-8"),
        (HEAD + b'GE,2015-01-05,0.1\nGE,"2015-01-05,0.1\nGE,2015-01-12,0.1\n', "row 2 (line 3): a quotation mark"),
    ],
)
@pytest.mark.parametrize("read", [lambda path: read_table(path, COLUMNS), read_external], ids=["table", "forecasts"])
def test_the_row_and_the_line_are_named(tmp_path, payload, told, read):
    path = tmp_path / "table.csv"
    path.write_bytes(payload)
    with pytest.raises(MarketDataError, match="The file cannot be read") as caught:
        read(path)
    assert told in caught.value.problem
    assert caught.value.source == "table.csv"


def test_an_empty_file_and_a_folder_are_errors_too(tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    for path in (tmp_path / "empty.csv", tmp_path / "absent.csv"):
        with pytest.raises(MarketDataError, match="cannot be read"):
            read_table(path, COLUMNS)


@given(cells=st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=3, max_size=3), max_size=4))
def test_nothing_is_found_in_what_a_writer_writes(cells, tmp_path_factory):
    import csv

    path: Path = tmp_path_factory.mktemp("csv") / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a", "b", "c"], *cells])
    assert csv_fault(path) is None


@given(payload=st.binary(max_size=60))
@example(payload=b"\r\x80")
@example(payload=b"\xef\xbb\xbf\xc3\xa9\x80")
def test_any_bytes_are_read_or_refused_with_a_typed_error(payload, tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("bytes") / "table.csv"
    path.write_bytes(payload)
    with contextlib.suppress(MarketDataError):
        read_table(path, COLUMNS)
