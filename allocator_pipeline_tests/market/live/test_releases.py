"""Quarters out of Alpha Vantage's tables, known from the day of the release."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.clients.alphavantage import AlphaVantageClient
from allocator_pipeline.market.fundamentals import RATIO_PARTS, ratio
from allocator_pipeline.market.ingest import NO_KNOWN_AT, TOO_EARLY
from allocator_pipeline.market.live.releases import KINDS, alphavantage_fundamentals
from allocator_pipeline.market.live.statements import Fundamentals
from allocator_pipeline.market.raw import RawStore
from allocator_pipeline_tests.market.live.kept import FETCHED, keep
from allocator_pipeline_tests.vendors.alphavantage import AlphaVantage
from allocator_pipeline_tests.vendors.refusals import QUICK
from allocator_pipeline_tests.vendors.server import Asked

FIGURES = ("revenue", "gross_profit", "net_income", "current_assets", "current_liabilities", "equity", "total_debt")


def quarter(end: date, reported: date | None, **figures: float) -> dict[str, object]:
    return {"symbol": "A", "period_end": end, "report_date": reported, **dict.fromkeys(FIGURES, np.nan), **figures}


def fetch(
    store: RawStore, rows: list[dict[str, object]], when: datetime = FETCHED, kinds: tuple[str, ...] = KINDS
) -> None:
    vendor = AlphaVantage(pd.DataFrame(rows))
    for kind in kinds:
        body = vendor.answer(Asked("/query", {"function": kind.upper(), "symbol": "A", "apikey": "k"}, {})).body
        keep(store, "alphavantage", kind, "A", body, when)


def end_of(day: str) -> pd.Timestamp:
    return pd.Timestamp(f"{day} 23:59:59.999999", tz="America/New_York").tz_convert("UTC")


SPRING = {"revenue": 100.0, "gross_profit": 40.0, "net_income": 10.0, "equity": 50.0, "total_debt": 25.0}


def test_a_quarter_is_known_at_the_end_of_the_day_of_its_release(tmp_path):
    store = RawStore(tmp_path)
    fetch(store, [quarter(date(2020, 3, 31), date(2020, 4, 30), **SPRING)])
    row = alphavantage_fundamentals(store, "A").first_reported.iloc[0]
    assert row["known_at"] == end_of("2020-04-30")
    assert row[["gross_margin", "net_margin", "debt_to_equity"]].tolist() == [0.4, 0.1, 0.5]
    assert row[["operating_margin", "current_ratio"]].isna().all()


def test_a_quarter_without_a_release_date_is_rejected_and_counted(tmp_path):
    store = RawStore(tmp_path)
    rows = [
        quarter(date(2020, 3, 31), None, **SPRING),
        quarter(date(2020, 6, 30), date(2020, 6, 30), **SPRING),
        quarter(date(2020, 9, 30), date(2020, 10, 29), **SPRING),
    ]
    fetch(store, rows)
    derived = alphavantage_fundamentals(store, "A")
    assert derived.first_reported["period_end"].astype(str).tolist() == ["2020-09-30"]
    assert dict(derived.rejected) == {(2020, NO_KNOWN_AT): 1, (2020, TOO_EARLY): 1}


def test_what_the_vendor_changes_is_a_restatement_known_when_it_was_seen(tmp_path):
    store = RawStore(tmp_path)
    fetch(store, [quarter(date(2020, 3, 31), date(2020, 4, 30), **SPRING)])
    later = FETCHED + timedelta(days=7)
    fetch(store, [quarter(date(2020, 3, 31), date(2020, 4, 30), **{**SPRING, "net_income": 70.0})], later)
    derived = alphavantage_fundamentals(store, "A")
    assert derived.first_reported["net_margin"].tolist() == [0.1]
    row = derived.restated.iloc[0]
    assert (row["field"], row["first_value"], row["later_value"]) == ("net_income", 10.0, 70.0)
    assert (row["first_known_at"], row["known_at"]) == (end_of("2020-04-30"), pd.Timestamp(later))


def test_a_table_that_comes_days_after_the_release_is_known_then(tmp_path):
    store = RawStore(tmp_path)
    old = quarter(date(2019, 12, 31), date(2020, 1, 30), **SPRING)
    new = quarter(date(2020, 3, 31), date(2020, 4, 30), **{**SPRING, "current_assets": 3.0, "current_liabilities": 2.0})
    weeks = [datetime(2020, 5, day, tzinfo=UTC) for day in (2, 9, 16)]
    fetch(store, [old, new], weeks[0], ("earnings",))
    fetch(store, [old], weeks[0], ("income_statement", "balance_sheet"))
    fetch(store, [old, new], weeks[1], ("income_statement",))
    fetch(store, [old], weeks[1], ("balance_sheet",))
    fetch(store, [old, new], weeks[2], ("balance_sheet",))
    quarters = alphavantage_fundamentals(store, "A").first_reported
    assert quarters["known_at"].tolist() == [end_of("2020-01-30"), *map(pd.Timestamp, weeks[:2])]
    np.testing.assert_array_equal(quarters["current_ratio"], [np.nan, np.nan, 1.5])


def test_nothing_fetched_is_no_rows(tmp_path):
    assert alphavantage_fundamentals(RawStore(tmp_path), "A").first_reported.empty


# --- nothing that becomes known later changes what was known before ---


def told(random: np.random.Generator) -> list[dict[str, object]]:
    rows = []
    for end in pd.date_range("2019-03-31", periods=8, freq="QE"):
        reported = (end + timedelta(days=int(random.choice([0, 20, 250])))).date() if random.random() < 0.8 else None
        figures = {name: float(random.integers(1, 1000)) for name in FIGURES if random.random() < 0.8}
        if random.random() < 0.8:
            rows.append(quarter(end.date(), reported, **figures))
    return rows or [quarter(date(2019, 3, 31), date(2019, 4, 30), **SPRING)]


def later_than(random: np.random.Generator, rows: list[dict[str, object]], since: date) -> list[dict[str, object]]:
    """Change or drop the quarters that are released from a day on."""
    known = [row for row in rows if row["report_date"] is not None and row["report_date"] < since]
    others = [row for row in told(random) if row["period_end"] not in {one["period_end"] for one in known}]
    for row in others:
        row["report_date"] = max(since, row["report_date"] or since)
    return known + others or rows


def known_before(derived: Fundamentals, instant: pd.Timestamp) -> list[pd.DataFrame]:
    tables = (derived.first_reported, derived.restated)
    return [table[table["known_at"] < instant].reset_index(drop=True) for table in tables]


def derive(*answers: tuple[list[dict[str, object]], datetime]) -> Fundamentals:
    with TemporaryDirectory() as folder:
        store = RawStore(Path(folder))
        for rows, when in answers:
            fetch(store, rows, when)
        return alphavantage_fundamentals(store, "A")


@given(st.integers(0, 2**32 - 1), st.dates(date(2019, 4, 1), date(2021, 12, 31)))
@settings(max_examples=200, deadline=None)
def test_nothing_known_later_changes_what_was_known_before(seed, since):
    random, fetched = np.random.default_rng(seed), datetime(2020, 7, 1, tzinfo=UTC)
    rows = told(random)
    instant = pd.Timestamp(since, tz="America/New_York")
    if random.random() < 0.5:  # one answer, in which what is released later is another
        one, other = derive((rows, fetched)), derive((later_than(random, rows, since), fetched))
    else:  # a second answer, which says anything at all
        instant = pd.Timestamp(fetched)
        one, other = derive((rows, fetched)), derive((rows, fetched), (told(random), fetched + timedelta(days=7)))
    for before, after in zip(known_before(one, instant), known_before(other, instant), strict=True):
        pd.testing.assert_frame_equal(before, after)


# --- real answers ---


@pytest.mark.parametrize("symbol", ["AAPL", "JPM", "KO", "MSFT", "PG", "XOM"])
def test_real_answers_give_the_ratios_of_the_table_made_of_them(shared_data, tmp_path, symbol):
    folder, store = shared_data / "alphavantage_json", RawStore(tmp_path)
    bodies = {(kind.upper(), symbol): (folder / f"{symbol}_{kind}.json").read_bytes() for kind in KINDS}
    with AlphaVantage(bodies=bodies).serve() as server:
        client = AlphaVantageClient({"ALLOCATOR_ALPHAVANTAGE_URL": server.url, "ALPHAVANTAGE_API_KEY": "key"}, QUICK)
        for kind in KINDS:
            answer = client.statement(kind, symbol)
            assert json.loads(answer.body)["symbol"] == symbol
            keep(store, "alphavantage", kind, symbol, answer.body, answer.fetched_at)
    derived = alphavantage_fundamentals(store, symbol)

    table = pd.read_parquet(shared_data / "fundamentals.parquet")
    table = table[(table["symbol"] == symbol) & table["kind"].str.startswith("Alpha Vantage")]
    table = table.sort_values("period_end").reset_index(drop=True)
    known = table[table["report_date"].notna()].reset_index(drop=True)
    first = derived.first_reported.sort_values("period_end", ignore_index=True)
    assert first["period_end"].dt.date.astype(str).tolist() == known["period_end"].astype(str).tolist()
    assert first["known_at"].tolist() == [end_of(str(day)) for day in known["report_date"]]
    assert derived.rejected.total() == len(table) - len(known)
    assert derived.restated.empty
    for name, (above, below) in RATIO_PARTS.items():
        if name != "debt_to_equity":  # the table has no debt
            expected = ratio(known[above].to_numpy(dtype=float), known[below].to_numpy(dtype=float))
            np.testing.assert_array_equal(first[name], expected)
