"""Quarters out of EDGAR's filings: what was said first, when it was known, and what was said otherwise later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator_pipeline.features.signals import latest_ratios
from allocator_pipeline.market.fundamentals import RATIO_PARTS, ratio
from allocator_pipeline.market.ingest import TOO_EARLY
from allocator_pipeline.market.live.filings import CONTRADICTION, edgar_fundamentals
from allocator_pipeline.market.live.statements import LATE_COMPARATIVE, Fundamentals
from allocator_pipeline.market.raw import RawStore
from allocator_pipeline_tests.market.live.kept import FETCHED, keep
from allocator_pipeline_tests.vendors.edgar import FACT_COLUMNS, company_facts, filings

CIK = "0000000042"
Q = {1: ("01-01", "03-31"), 2: ("04-01", "06-30"), 3: ("07-01", "09-30"), 4: ("10-01", "12-31")}


def fact(tag: str, span: str, value: float, filed: str, form: str = "10-Q", filing: str | None = None) -> tuple:
    """``2020Q1`` a quarter, ``2020M9`` nine months, ``2020`` a year, ``2020-03-31`` an instant."""
    year = span[:4]
    if "Q" in span:
        start, end = Q[int(span[-1])]
    elif "M" in span:
        start, end = "01-01", Q[int(span[-1]) // 3][1]
    else:
        start, end = "01-01", "12-31"
    first, last = (None, span) if span.count("-") == 2 else (f"{year}-{start}", f"{year}-{end}")
    return (CIK, tag, first, last, float(value), filed, form, filing or f"filing of {filed}")


def derive(tmp_path: Path, *rows: tuple) -> Fundamentals:
    store = RawStore(tmp_path)
    keep(store, "edgar", "facts", "A", company_facts(CIK, pd.DataFrame(rows, columns=FACT_COLUMNS)))
    return edgar_fundamentals(store, "A")


def end_of(day: str) -> pd.Timestamp:
    return pd.Timestamp(f"{day} 23:59:59.999999", tz="America/New_York").tz_convert("UTC")


def test_the_fourth_quarter_is_the_year_less_nine_months_and_known_with_the_year(tmp_path):
    quarters = derive(
        tmp_path,
        fact("Revenues", "2020Q3", 120, "2020-11-02"),
        fact("Revenues", "2020M9", 330, "2020-11-02"),
        fact("NetIncomeLoss", "2020Q3", 12, "2020-11-02"),
        fact("NetIncomeLoss", "2020M9", 30, "2020-11-02"),
        fact("Revenues", "2020", 530, "2021-02-15", "10-K"),
        fact("NetIncomeLoss", "2020", 50, "2021-02-15", "10-K"),
        fact("AssetsCurrent", "2020-12-31", 90, "2021-02-15", "10-K"),
        fact("LiabilitiesCurrent", "2020-12-31", 45, "2021-02-15", "10-K"),
    ).first_reported
    assert quarters["net_margin"].tolist() == [0.1, 0.1]
    assert quarters["known_at"].tolist() == [end_of("2020-11-02"), end_of("2021-02-15")]
    assert quarters["current_ratio"].iloc[1] == 2.0
    assert quarters["gross_margin"].isna().all()


def test_the_first_report_stands_and_restatements_stand_apart(tmp_path):
    derived = derive(
        tmp_path,
        fact("Revenues", "2020Q1", 100, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 10, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 7, "2020-06-15", "10-Q/A"),
        fact("Revenues", "2021Q1", 130, "2021-05-03"),
        fact("Revenues", "2020Q1", 100, "2021-05-03"),
        fact("NetIncomeLoss", "2021Q1", 13, "2021-05-03"),
        fact("NetIncomeLoss", "2020Q1", 7, "2021-05-03"),
    )
    assert derived.first_reported["net_margin"].tolist() == [0.1, 0.1]
    row = derived.restated.iloc[0]
    assert len(derived.restated) == 1
    assert (row["field"], row["first_value"], row["later_value"]) == ("net_income", 10, 7)
    assert (row["first_known_at"], row["known_at"]) == (end_of("2020-05-01"), end_of("2020-06-15"))


def test_a_year_restated_is_not_taken_apart_by_nine_months_that_are_not(tmp_path):
    derived = derive(
        tmp_path,
        fact("Revenues", "2020M9", 330, "2020-11-02"),
        fact("Revenues", "2020Q3", 120, "2020-11-02"),
        fact("Revenues", "2020", 530, "2021-02-15", "10-K"),
        fact("Revenues", "2020", 900, "2021-03-15", "10-K/A"),
    )
    assert derived.restated.empty
    assert len(derived.first_reported) == 2


def test_late_comparatives_are_refused_and_late_filings_are_not(tmp_path):
    derived = derive(
        tmp_path,
        fact("Revenues", "2020Q1", 100, "2021-05-03"),  # 398 days late, beside the quarter that the filing is about
        fact("NetIncomeLoss", "2020Q1", 50, "2021-05-03"),
        fact("Revenues", "2021Q1", 130, "2021-05-03"),
        fact("NetIncomeLoss", "2021Q1", 13, "2021-05-03"),
        fact("Revenues", "2021Q2", 130, "2022-04-01"),  # 275 days late, and the first word on its quarter
        fact("NetIncomeLoss", "2021Q2", 26, "2022-04-01"),
    )
    assert derived.first_reported["net_margin"].tolist() == [0.1, 0.2]
    assert dict(derived.rejected) == {(2020, LATE_COMPARATIVE): 1}


def test_a_figure_added_in_time_gives_a_second_row_and_one_added_late_does_not(tmp_path):
    rows = [
        fact("Revenues", "2020Q1", 100, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 10, "2020-05-01"),
        fact("GrossProfit", "2020Q1", 40, "2020-06-01", "10-Q/A"),
        fact("Revenues", "2021Q1", 100, "2021-05-03"),
        fact("OperatingIncomeLoss", "2020Q1", 20, "2021-05-03"),
    ]
    quarters = derive(tmp_path, *rows).first_reported
    first = quarters[quarters["period_end"] == "2020-03-31"]
    assert first["known_at"].tolist() == [end_of("2020-05-01"), end_of("2020-06-01")]
    np.testing.assert_array_equal(first["gross_margin"], [np.nan, 0.4])
    assert first["net_margin"].tolist() == [0.1, 0.1]
    assert first["operating_margin"].isna().all()


@pytest.mark.parametrize(
    ("tags", "debt"),
    [
        ({"DebtLongtermAndShorttermCombinedAmount": 9, "LongTermDebt": 5}, 9),
        ({"DebtCurrent": 2, "LongTermDebtNoncurrent": 5, "LongTermDebt": 6}, 7),
        ({"LongTermDebt": 6, "CommercialPaper": 1, "LongTermDebtCurrent": 2}, 7),
        ({"LongTermDebtNoncurrent": 5, "LongTermDebtCurrent": 2, "ShortTermBorrowings": 1}, 8),
        ({"LongTermDebtNoncurrent": 5}, 5),
        ({"ShortTermBorrowings": 1}, np.nan),
        ({}, np.nan),
    ],
)
def test_total_debt_by_its_rule(tmp_path, tags, debt):
    rows = [fact(tag, "2020-03-31", value, "2020-05-01") for tag, value in tags.items()]
    derived = derive(
        tmp_path,
        fact("Revenues", "2020Q1", 100, "2020-05-01"),
        fact("StockholdersEquity", "2020-03-31", 10, "2020-05-01"),
        *rows,
    )
    np.testing.assert_array_equal(derived.first_reported["debt_to_equity"], [debt / 10])


def test_a_bank_has_neither_gross_margin_nor_current_ratio(tmp_path):
    row = derive(
        tmp_path,
        fact("Revenues", "2020Q1", 100, "2020-05-01"),
        fact("RevenueFromContractWithCustomerExcludingAssessedTax", "2020Q1", 30, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 25, "2020-05-01"),
    ).first_reported.iloc[0]
    assert row["net_margin"] == 0.25  # of all its revenues, not of those from contracts
    assert row[["gross_margin", "operating_margin", "current_ratio", "debt_to_equity"]].isna().all()


def test_gross_profit_is_revenue_less_its_cost_where_it_is_not_told(tmp_path):
    row = derive(
        tmp_path,
        fact("SalesRevenueNet", "2012Q1", 100, "2012-05-01"),
        fact("CostOfRevenue", "2012Q1", 60, "2012-05-01"),
    ).first_reported.iloc[0]
    assert row["gross_margin"] == 0.4


def test_quarters_of_twelve_and_sixteen_weeks_are_quarters(tmp_path):
    rows = [
        (CIK, "Revenues", start, end, value, filed, form, f"filing of {filed}")
        for start, end, value, filed, form in [
            ("2019-12-29", "2020-03-21", 84.0, "2020-04-28", "10-Q"),
            ("2019-12-29", "2020-09-05", 252.0, "2020-10-01", "10-Q"),
            ("2020-06-14", "2020-09-05", 84.0, "2020-10-01", "10-Q"),
            ("2019-12-29", "2020-12-26", 372.0, "2021-02-11", "10-K"),
        ]
    ]
    rows += [(*row[:1], "NetIncomeLoss", *row[2:4], row[4] / 4, *row[5:]) for row in rows]
    quarters = derive(tmp_path, *rows).first_reported
    assert quarters["period_end"].astype(str).tolist() == ["2020-03-21", "2020-09-05", "2020-12-26"]
    assert quarters["net_margin"].tolist() == [0.25] * 3


def test_what_cannot_be_is_rejected_and_counted(tmp_path):
    derived = derive(
        tmp_path,
        fact("Revenues", "2020Q1", 100, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 10, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 11, "2020-05-01"),
        fact("Revenues", "2020Q2", 100, "2020-05-01"),  # filed before the quarter ended
    )
    assert dict(derived.rejected) == {(2020, CONTRADICTION): 1, (2020, TOO_EARLY): 1}
    assert derived.first_reported["net_margin"].isna().tolist() == [True]


def test_other_forms_and_currencies_are_not_read(tmp_path):
    assert derive(tmp_path, fact("Revenues", "2020Q1", 100, "2020-05-01", "8-K")).first_reported.empty


def test_nothing_fetched_is_no_rows(tmp_path):
    derived = edgar_fundamentals(RawStore(tmp_path), "A")
    assert derived.first_reported.empty
    assert derived.restated.empty


def test_a_past_that_is_rewritten_is_known_when_it_was_seen(tmp_path):
    store = RawStore(tmp_path)
    before = [fact("Revenues", "2020Q1", 100, "2020-05-01"), fact("NetIncomeLoss", "2020Q1", 10, "2020-05-01")]
    after = [before[0], fact("NetIncomeLoss", "2020Q1", 99, "2020-05-01")]
    after += [fact("Revenues", "2020Q2", 100, "2020-08-01"), fact("NetIncomeLoss", "2020Q2", 20, "2020-08-01")]
    for body, when in ((before, FETCHED), (after, FETCHED + timedelta(days=7))):
        keep(store, "edgar", "facts", "A", company_facts(CIK, pd.DataFrame(body, columns=FACT_COLUMNS)), when)
    derived = edgar_fundamentals(store, "A")
    assert derived.first_reported["net_margin"].tolist() == [0.1, 0.2]
    assert derived.first_reported["known_at"].tolist() == [end_of("2020-05-01"), pd.Timestamp(FETCHED)]
    assert derived.restated["later_value"].tolist() == [99]
    assert derived.restated["known_at"].tolist() == [pd.Timestamp(FETCHED)]


def test_a_symbol_that_changes_its_company_keeps_both_pasts(tmp_path):
    store = RawStore(tmp_path)
    for number, year, when in ((CIK, 2014, FETCHED), ("0000000043", 2016, FETCHED + timedelta(days=1))):
        rows = [
            fact("Revenues", f"{year}Q1", 100, f"{year}-05-01"),
            fact("NetIncomeLoss", f"{year}Q1", 9, f"{year}-05-01"),
        ]
        keep(store, "edgar", "facts", "A", company_facts(number, pd.DataFrame(rows, columns=FACT_COLUMNS)), when)
    known = edgar_fundamentals(store, "A").first_reported["known_at"].tolist()
    assert known == [end_of("2014-05-01"), end_of("2016-05-01")]


def test_the_signals_read_first_reports_of_the_newest_quarter(tmp_path):
    reports = derive(
        tmp_path,
        fact("Revenues", "2019Q4", 100, "2020-02-10", "10-K"),
        fact("NetIncomeLoss", "2019Q4", 50, "2020-02-10", "10-K"),
        fact("Revenues", "2020Q1", 100, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 10, "2020-05-01"),
        fact("NetIncomeLoss", "2020Q1", 70, "2020-06-01", "10-Q/A"),  # restated
        fact("Revenues", "2019Q3", 100, "2020-06-02"),  # a comparative, 245 days late
        fact("NetIncomeLoss", "2019Q3", 90, "2020-06-02"),
        fact("Revenues", "2020Q2", 100, "2020-06-02", filing="never read: before its end"),
    ).first_reported
    decision = pd.Timestamp("2020-07-30", tz="UTC")
    ratios, age = latest_ratios(reports[reports["known_at"] < decision], decision, ["A"])
    assert ratios[0, 2] == 0.1
    assert age[0] == pytest.approx((decision - end_of("2020-05-01")) / pd.Timedelta(days=90))


def test_filings_of_whole_quarters_give_exactly_their_ratios(tmp_path):
    random, store = np.random.default_rng(7), RawStore(tmp_path)
    ends = [date.fromisoformat(f"{year}-{end}") for year in range(2012, 2018) for _, end in Q.values()]
    names = sorted({name for pair in RATIO_PARTS.values() for name in pair})
    truth = pd.DataFrame({"symbol": "A", "period_end": ends, "report_date": [end + timedelta(days=40) for end in ends]})
    truth[names] = random.integers(1, 10**11, (len(ends), len(names))).astype(float)
    keep(store, "edgar", "facts", "A", company_facts(CIK, filings(truth, {"A": CIK})))
    derived = edgar_fundamentals(store, "A")
    first = derived.first_reported
    assert first["period_end"].dt.date.tolist() == ends
    assert first["known_at"].tolist() == [end_of(str(day)) for day in truth["report_date"]]
    for name, (above, below) in RATIO_PARTS.items():
        np.testing.assert_array_equal(first[name], ratio(truth[above].to_numpy(), truth[below].to_numpy()))
    assert derived.restated.empty
    assert not derived.rejected


# --- nothing that becomes known later changes what was known before ---

DAYS = pd.date_range("2019-04-01", "2022-12-31").strftime("%Y-%m-%d").to_numpy()


def company(random: np.random.Generator) -> pd.DataFrame:
    """Filings of three years: in time or late, with restated comparatives, amendments and repetitions."""
    ends = [date.fromisoformat(f"{year}-{end}") for year in (2019, 2020, 2021) for _, end in Q.values()]
    figures = ("revenue", "net_income", "equity", "total_debt")
    quarters = pd.DataFrame(
        {
            "symbol": "A",
            "period_end": ends,
            "report_date": [end + timedelta(days=int(random.choice([20, 40, 250]))) for end in ends],
            **{name: random.integers(1, 10**6, len(ends)).astype(float) for name in figures},
        }
    )
    told = filings(quarters, {"A": CIK})
    more = told.sample(int(random.integers(0, 13)), random_state=random)
    changed = random.random(len(more)) < 0.5
    more["value"] = np.where(changed, random.integers(1, 10**6, len(more)), more["value"])
    more["filed"] = np.maximum(more["filed"].to_numpy(dtype=object), random.choice(DAYS, len(more)))
    more["form"] = random.choice(["10-Q/A", "10-K"], len(more))
    more["filing"] = "more of " + more["filed"]
    return pd.concat([told, more], ignore_index=True)


def corrupted(random: np.random.Generator, facts: pd.DataFrame, since: str) -> pd.DataFrame:
    """Change, drop and invent whatever is filed from a day on."""
    later = (facts["filed"] >= since).to_numpy()
    rows = facts[later & (random.random(len(facts)) < 0.7)].copy()
    rows["value"] = random.integers(1, 10**6, len(rows)).astype(float)
    invented = facts.sample(int(random.integers(0, 7)), random_state=random)
    invented["filed"] = [max(since, day) for day in random.choice(DAYS, len(invented))]
    invented["value"] = random.integers(1, 10**6, len(invented)).astype(float)
    return pd.concat([facts[~later], rows, invented], ignore_index=True).sample(frac=1.0, random_state=random)


def known_before(derived: Fundamentals, instant: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    first, restated = derived.first_reported, derived.restated
    return (
        first[first["known_at"] < instant].reset_index(drop=True),
        restated[restated["known_at"] < instant].reset_index(drop=True),
    )


def derived_twice(*answers: list[tuple[pd.DataFrame, datetime]]) -> list[Fundamentals]:
    both = []
    for told in answers:
        with TemporaryDirectory() as folder:
            store = RawStore(Path(folder))
            for facts, when in told:
                if len(facts):
                    keep(store, "edgar", "facts", "A", company_facts(CIK, facts), when)
            both.append(edgar_fundamentals(store, "A"))
    return both


def assert_same_before(instant: pd.Timestamp, one: Fundamentals, other: Fundamentals) -> None:
    for before, after in zip(known_before(one, instant), known_before(other, instant), strict=True):
        pd.testing.assert_frame_equal(before, after)


seeds, instants = st.integers(0, 2**32 - 1), st.sampled_from(DAYS.tolist())


@given(seeds, instants)
@settings(max_examples=200, deadline=None)
def test_nothing_known_later_changes_what_was_known_before(seed, since):
    check_corruption(seed, since)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(seeds, instants)
@settings(max_examples=5000, deadline=None)
def test_nothing_known_later_changes_what_was_known_before_at_length(seed, since):
    check_corruption(seed, since)


def check_corruption(seed: int, since: str) -> None:
    random = np.random.default_rng(seed)
    facts = company(random)
    other = corrupted(random, facts, since)
    one, two = derived_twice([(facts, FETCHED)], [(other, FETCHED)])
    assert_same_before(pd.Timestamp(since, tz="America/New_York"), one, two)


@given(seeds)
@settings(max_examples=200, deadline=None)
def test_no_later_answer_changes_what_was_known_before_it(seed):
    random, fetched = np.random.default_rng(seed), datetime(2021, 6, 1, tzinfo=UTC)
    facts = company(random)
    rewritten = corrupted(random, facts, "2019-01-01")
    again = [(facts, fetched), (rewritten, fetched + timedelta(days=7))]
    one, two = derived_twice(again[:1], again)
    assert_same_before(pd.Timestamp(fetched), one, two)
