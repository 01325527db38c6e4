"""The user's table of forecasts: read, checked, and refused with file, column and row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allocator_pipeline.config import QUANTILES
from allocator_pipeline.errors import MarketDataError
from allocator_pipeline.market.external import GIVEN, external_names, read_external

BANDS = dict(zip(QUANTILES, (-0.05, -0.03, -0.01, 0.001, 0.02, 0.04, 0.06), strict=True))


def rows(**changes) -> pl.DataFrame:
    columns = {
        "forecaster": ["toto", "toto", "kronos"],
        "symbol": ["AAPL", "GE", "AAPL"],
        "week": ["2015-01-05", "2015-01-05", "2015-01-12"],
        "known_at": ["2015-01-02T20:00:00Z", "2015-01-02T20:00:00Z", "2015-01-09T20:00:00Z"],
        "forecast": [0.001, -0.002, 0.003],
    }
    return pl.DataFrame(columns | changes, strict=False)


def write(folder: Path, table: pl.DataFrame, name: str = "table.parquet") -> Path:
    path = folder / name
    table.write_parquet(path) if name.endswith("parquet") else table.write_csv(path)
    return path


@pytest.mark.parametrize("name", ["table.parquet", "table.csv"])
def test_a_table_is_read_in_order(tmp_path, name):
    path = write(tmp_path, rows(), name)
    table = read_external(path)
    assert table[["forecaster", "symbol"]].to_numpy().tolist() == [["kronos", "AAPL"], ["toto", "AAPL"], ["toto", "GE"]]
    assert str(table["known_at"].iloc[0]) == "2015-01-09 20:00:00+00:00"
    assert table["q50"].isna().all()
    assert set(table["model_version"]) == {GIVEN}
    assert external_names(path) == ("kronos", "toto")
    assert external_names(None) == ()


def test_a_decision_session_names_the_week_it_decides(tmp_path):
    table = rows(decision_session=["2015-01-02", "2015-01-02", "2015-01-16"]).drop("week")
    read = read_external(write(tmp_path, table))
    # Martin Luther King Day: the week of the 19th is decided on Friday the 16th, and executed on Tuesday
    assert read["week"].dt.date.astype(str).tolist() == ["2015-01-19", "2015-01-05", "2015-01-05"]


def test_quantiles_and_versions_are_kept(tmp_path):
    bands = {name: [value, None, None] for name, value in BANDS.items()}
    read = read_external(write(tmp_path, rows(**bands, model_version=["base-200m", None, None])))
    given = read[read["q50"].notna()].iloc[0]
    assert [given[name] for name in QUANTILES] == list(BANDS.values())
    assert given["model_version"] == "base-200m"


def test_a_day_without_a_time_is_known_at_its_end_in_new_york(tmp_path):
    read = read_external(write(tmp_path, rows(known_at=["2015-01-02"] * 3)))
    assert str(read["known_at"].iloc[0].floor("s")) == "2015-01-03 04:59:59+00:00"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"forecast": [0.1, None, 0.1]}, r"'forecast', row 2: there is no value"),
        ({"forecast": [0.1, float("inf"), 0.1]}, r"'forecast', row 2.*no finite number"),
        ({"forecast": [0.1, 0.1, 1.5]}, r"'forecast', row 3: 1.5 \(a weekly log return"),
        ({"known_at": ["2015-01-02", "yesterday", "2015-01-02"]}, r"'known_at', row 2"),
        ({"known_at": ["2015-01-02", None, "2015-01-02"]}, r"'known_at', row 2: there is no value"),
        ({"week": ["2015-01-05", "2015-01-06", "2015-01-12"]}, r"'week', row 2.*no Monday of a trading week"),
        ({"week": ["2015-01-05", None, "2015-01-12"]}, r"'week', row 2.*either week or decision_session"),
        ({"decision_session": ["2015-01-02"] * 3}, r"'week', row 1.*either week or decision_session"),
        (
            {"week": [None] * 3, "decision_session": ["2015-01-02", "2015-01-05", "2015-01-02"]},
            r"'decision_session', row 2.*no week is decided after",
        ),
        ({"forecaster": ["toto", "lstm", "toto"]}, r"'forecaster', row 2: lstm .*names of ours"),
        ({"forecaster": ["toto", "LSTM", "toto"]}, r"'forecaster', row 2: LSTM .*names of ours"),
        ({"forecaster": ["toto", "toto", "Words"]}, r"'forecaster', row 3: Words .*words of the panel"),
        ({"forecaster": ["hrp", "toto", "toto"]}, r"'forecaster', row 1: hrp .*words of the panel"),
        ({"forecaster": ["toto", "toto", "Toto"]}, r"'forecaster', row 3: Toto .*in another case"),
        ({"forecaster": ["toto", "../x", "toto"]}, r"'forecaster', row 2.*cannot be used"),
        ({"forecaster": ["toto", "a|b", "toto"]}, r"'forecaster', row 2.*holds \| or \+"),
        ({"symbol": ["AAPL", "CASH", "GE"]}, r"'symbol', row 2.*cash of the portfolio"),
        ({"q05": [-0.1, None, None]}, r"'q10', row 1.*other quantiles"),
        ({**{name: [value] * 3 for name, value in BANDS.items()}, "q25": [-0.2] * 3}, r"'q25', row 1.*below q10"),
        ({"forecaster": ["toto"] * 3, "symbol": ["GE"] * 3, "week": ["2015-01-05"] * 3}, r"'known_at', row 1.*twice"),
    ],
)
def test_what_is_wrong_is_named_with_file_column_and_row(tmp_path, changes, told):
    with pytest.raises(MarketDataError, match=told) as caught:
        read_external(write(tmp_path, rows(**changes)))
    assert caught.value.source == "table.parquet"
    assert caught.value.todo


@pytest.mark.parametrize("column", ["forecaster", "symbol", "known_at", "forecast"])
def test_a_column_that_is_not_there_is_named(tmp_path, column):
    with pytest.raises(MarketDataError, match=f"no column '{column}'"):
        read_external(write(tmp_path, rows().drop(column)))


def test_a_file_that_is_not_there_or_no_table_is_an_error(tmp_path):
    with pytest.raises(MarketDataError, match="ALLOCATOR_EXTERNAL_FORECASTS"):
        read_external(tmp_path / "absent.parquet")
    (tmp_path / "broken.parquet").write_bytes(np.arange(9).tobytes())
    with pytest.raises(MarketDataError, match="cannot be read"):
        read_external(tmp_path / "broken.parquet")
