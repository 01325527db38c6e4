"""Back-filling forecasts: chains, what a crash leaves, and that a year alone has the bytes of the whole."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from allocator_pipeline.defs.forecasting import fit_years
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market.source import MarketCoverage
from allocator_pipeline_tests.forecasters.conftest import build_market

YEARS = (2013, 2014, 2015)
COVERAGE = MarketCoverage(
    "test", date(2008, 1, 2), date(2015, 12, 31), True, True, True, (), (), tuple(f"S{i:02d}" for i in range(17))
)


@pytest.fixture(scope="module")
def windows():
    market = build_market()
    return {str(year): market[market["date"].dt.year <= year] for year in YEARS}


def fit(store: StoreResource, windows, keys, log=lambda line: None, processes=1):
    wanted = {key: (key.split("|")[0], int(key.split("|")[1])) for key in keys}
    return dict(fit_years(wanted, windows, YEARS[0], COVERAGE, store, processes, log))


def store_at(path: Path) -> StoreResource:
    return StoreResource(root=str(path))


KEYS = [f"{name}|{year}" for name in ("lstm", "ridge") for year in YEARS]


@pytest.fixture(scope="module")
def whole(windows, tmp_path_factory):
    return fit(store_at(tmp_path_factory.mktemp("whole")), windows, KEYS, processes=2)


def test_a_year_alone_has_the_bytes_of_the_whole_back_fill(windows, whole, tmp_path):
    store = store_at(tmp_path)
    lines: list[str] = []
    alone = fit(store, windows, ["lstm|2014"], lines.append)["lstm|2014"]
    assert dict(alone.files) == dict(whole["lstm|2014"].files)
    assert alone.manifest == whole["lstm|2014"].manifest
    assert len(store.models.versions("lstm")) == 2  # its parent was fitted and kept
    assert sum("epoch" in line for line in lines) == 6 + 2
    assert [whole[f"lstm|{year}"].parent is None for year in YEARS] == [True, False, True]


def test_a_crash_keeps_what_was_fitted_and_goes_on_from_there(windows, whole, tmp_path):
    store = store_at(tmp_path)

    def crash(line: str) -> None:
        if line.startswith("stored") and len(store.models.versions("lstm")) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(store, windows, KEYS, crash)
    assert store.models.versions("lstm") == [whole[f"lstm|{year}"].version for year in YEARS[:2]]
    lines: list[str] = []
    resumed = fit(store, windows, KEYS, lines.append)
    assert {key: dict(model.files) for key, model in resumed.items()} == {k: dict(m.files) for k, m in whole.items()}
    assert sum("stored already" in line for line in lines) == 2
    assert sum("lstm: epoch" in line for line in lines) == 6
    lines.clear()
    fit(store, windows, KEYS, lines.append)
    assert all("stored already" in line for line in lines)


def test_a_chain_goes_on_from_the_last_model_that_is_stored(windows, whole, tmp_path):
    store = store_at(tmp_path)
    fit(store, windows, ["lstm|2013"])
    lines: list[str] = []
    found = fit(store, windows, ["lstm|2014"], lines.append)
    assert dict(found["lstm|2014"].files) == dict(whole["lstm|2014"].files)
    assert sum("epoch" in line for line in lines) == 2


class Watched(Mapping[str, pd.DataFrame]):
    """Tables that are copied when they are asked for, as if read; notes how many others are alive by then."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self._tables, self._given, self.alive = tables, list[weakref.ref[pd.DataFrame]](), list[int]()

    def __getitem__(self, key: str) -> pd.DataFrame:
        gc.collect()
        self.alive.append(sum(given() is not None for given in self._given))
        table = self._tables[key].copy()
        self._given.append(weakref.ref(table))
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


@pytest.mark.parametrize("processes", [1, 2])
def test_no_two_windows_are_in_memory_at_once(windows, processes, tmp_path):
    watched = Watched(windows)
    fit(store_at(tmp_path), watched, ["ridge|2013", "ridge|2014", "ridge|2015"], processes=processes)
    assert len(watched.alive) >= 5
    assert not any(watched.alive)
