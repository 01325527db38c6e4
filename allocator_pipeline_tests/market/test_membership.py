"""Dated lists of candidates and screens: what a ticker means on a day, and which lists are refused."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import ConfigurationError, MarketDataError, NotEnoughDataError
from allocator_pipeline.market.membership import (
    Listing,
    Membership,
    by_symbol,
    eligible,
    membership_of,
    read_candidates,
    read_screen,
)
from allocator_pipeline.market.sources import memberships_of
from allocator_pipeline.market.universe import universe_of

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
DAYS = st.dates(date(2000, 1, 1), date(2030, 12, 31))


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "list.csv") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_ticker_is_not_an_identity(written):
    path = written(
        "symbol,from,to,ticker,cik\n"
        "META,2012-05-18,2022-06-08,FB,1326801\n"
        "META,2022-06-09,,META,1326801\n"
        "FB_ETF,2025-06-26,,FB,\n"
    )
    listings = read_candidates(path)

    assert listings == (
        Listing("FB_ETF", "FB", date(2025, 6, 26)),
        Listing("META", "FB", date(2012, 5, 18), date(2022, 6, 8), "0001326801"),
        Listing("META", "META", date(2022, 6, 9), None, "0001326801"),
    )
    assert [one.ticker for one in by_symbol(listings)["META"]] == ["FB", "META"]
    assert membership_of(listings).members(date(2022, 6, 8)) == {"META"}
    assert membership_of(listings).members(date(2012, 5, 17)) == frozenset()
    assert membership_of(listings).members(date(2025, 6, 26)) == {"META", "FB_ETF"}


def test_without_a_ticker_it_is_the_symbol(written):
    assert read_candidates(written("Symbol,From,To\nAAPL,1990-01-02,\n")) == (
        Listing("AAPL", "AAPL", date(1990, 1, 2)),
    )


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        ("AAA,2010-01-04,2012-12-31,,\nAAA,2012-12-31,,,", 2, "by row 1 already"),
        ("AAA,2010-01-04,,,\nAAA,2015-01-05,,,", 2, "by row 1 already"),
        ("AAA,2015-01-05,,X,\nBBB,2010-01-04,2015-01-05,X,", 1, "'X' is there on 2015-01-05 by row 2"),
        ("BRKB,2010-01-04,,BRK.B,\nBERK,2015-01-05,,BRK-B,", 2, "'BRK-B' is there on 2015-01-05 by row 1"),
        ("AAA,2010-01-04,,,\nAaa,2010-01-04,,BBB,", 2, "'Aaa' is written 'AAA' in row 1"),
        ("AAA,2010-01-04,2012-01-03,,\naaa,2015-01-05,,AAA,", 2, "'aaa' is written 'AAA' in row 1"),
        ("BRK.B,2010-01-04,,,\nBRK-B,2010-01-04,,XXX,", 2, "'BRK-B' is written 'BRK.B' in row 1"),
        ("AAA,2012-01-03,2011-01-03,,", 1, "is before"),
        ("AAA,2012-13-03,,,", 1, "no date"),
        ("AAA,,,,", 1, "there is no value"),
        (",2012-01-03,,,", 1, "there is no value"),
        ("AAA,2012-01-03,soon,,", 1, "no date"),
        ("CASH,2012-01-03,,,", 1, "cash of the portfolio"),
        ("../..,2012-01-03,,,", 1, "file name"),
        ("/etc/passwd,2012-01-03,,,", 1, "file name"),
        ("A'; DROP TABLE x; --,2012-01-03,,,", 1, "file name"),
        (f"{'A' * 300},2012-01-03,,,", 1, "file name"),
        ("AAA,2012-01-03,,a b,", 1, "cannot be asked"),
        ("AAA,2012-01-03,,../x,", 1, "cannot be asked"),
        ("AAA,2012-01-03,,X?y=1,", 1, "cannot be asked"),
        ("AAA,2012-01-03,,,12a", 1, "no number of the SEC"),
        ("AAA,2012-01-03,,,12345678901", 1, "no number of the SEC"),
    ],
)
def test_a_bad_list_names_file_and_row(written, rows, row, words):
    with pytest.raises(MarketDataError) as caught:
        read_candidates(written(f"symbol,from,to,ticker,cik\n{rows}\n"))

    assert words in str(caught.value)
    assert f"row {row}" in caught.value.problem
    assert caught.value.source == "list.csv"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("ticker", ["BRK.B", "BF-B", "A" * 20])
def test_legal_names_pass(written, ticker):
    (listing,) = read_candidates(written(f"symbol,from,to,ticker\n^GSPC,2012-01-03,,{ticker}\n"))
    assert (listing.symbol, listing.ticker) == ("^GSPC", ticker)


def test_an_absent_or_empty_list_is_refused(written, tmp_path):
    with pytest.raises(MarketDataError, match="no such file"):
        read_screen(tmp_path / "absent.csv")
    with pytest.raises(NotEnoughDataError, match="no row"):
        read_screen(written("symbol,from,to\n"))


@given(st.lists(st.tuples(DAYS, st.integers(0, 900), st.booleans()), min_size=1, max_size=6), DAYS)
def test_members_are_those_with_a_span_around_the_day(spans, day):
    held = tuple((first, None if goes_on else first + timedelta(days=length)) for first, length, goes_on in spans)
    inside = any(first <= day and (last is None or day <= last) for first, last in held)

    assert Membership("x", {"AAA": held}).members(day) == (frozenset({"AAA"}) if inside else frozenset())


def test_every_membership_must_let_a_stock_pass():
    one = Membership("one", {"A": ((date(2010, 1, 1), None),), "B": ((date(2010, 1, 1), date(2012, 1, 1)),)})
    other = Membership("other", {"A": ((date(2011, 1, 1), None),), "B": ((date(2010, 1, 1), None),)})

    assert eligible({"A", "B", "C"}, date(2010, 6, 1), [one, other]) == {"B"}
    assert eligible({"A", "B", "C"}, date(2012, 1, 1), [one, other]) == {"A", "B"}
    assert eligible({"A", "B", "C"}, date(2012, 1, 2), [one, other]) == {"A"}
    assert eligible({"A", "B", "C"}, date(2012, 1, 2), []) == {"A", "B", "C"}


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    from allocator_pipeline.config import SimulatedConfig
    from allocator_pipeline.market.simulated import SimulatedMarket

    market = SimulatedMarket(SimulatedConfig(start=date(2010, 1, 1), end=date(2013, 12, 31), n_symbols=20))
    return pd.concat([market.prices(year) for year in range(2010, 2014)], ignore_index=True)


def test_the_universe_holds_only_what_passes_and_keeps_slots(prices):
    plain = [universe_of(year, prices)["symbol"].tolist() for year in (2012, 2013)]
    gone = plain[1][4]
    screen = Membership("x", {name: ((date(2000, 1, 1), None),) for name in set(prices["symbol"]) - {gone}})
    leaves = Membership("x", {**screen.spans, gone: ((date(2000, 1, 1), date(2012, 6, 1)),)})

    assert gone not in universe_of(2013, prices, memberships=[screen])["symbol"].tolist()
    until = universe_of(2012, prices, memberships=[leaves])["symbol"].tolist()
    after = universe_of(2013, prices, memberships=[leaves])["symbol"].tolist()
    assert until == plain[0], "the screen let it pass on the last session that the ranking of 2012 read"
    assert gone not in after
    assert all(new == old for new, old in zip(after, until, strict=True) if old in after)


def test_what_a_screen_says_of_later_days_changes_nothing(prices):
    always = {name: ((date(2000, 1, 1), None),) for name in set(prices["symbol"])}
    ends = {name: ((date(2000, 1, 1), date(2012, 12, 31)),) for name in set(prices["symbol"])}

    pd.testing.assert_frame_equal(
        universe_of(2013, prices, memberships=[Membership("x", always)]),
        universe_of(2013, prices, memberships=[Membership("x", ends)]),
    )


def test_too_few_that_pass_is_an_error(prices):
    few = Membership("x", {f"SIM{number:02d}": ((date(2000, 1, 1), None),) for number in range(14)})
    with pytest.raises(NotEnoughDataError, match="passed the lists"):
        universe_of(2013, prices, memberships=[few])


def test_a_fixed_universe_that_a_screen_excludes_is_refused(prices):
    fixed = [f"SIM{number:02d}" for number in range(15)]
    screen = Membership("x", {name: ((date(2000, 1, 1), None),) for name in fixed[1:]})
    with pytest.raises(ConfigurationError, match="SIM00"):
        universe_of(2013, prices, "fixed", fixed, [screen])


def test_the_examples_can_be_read():
    candidates, screen = read_candidates(EXAMPLES / "candidates.csv"), read_screen(EXAMPLES / "screen.csv")
    settings = Settings(screens=(EXAMPLES / "screen.csv",))

    assert len({one.symbol for one in candidates}) > 20
    assert [one.name for one in memberships_of(settings)] == ["screen"]
    assert screen.members(date(2020, 1, 2)) <= {one.symbol for one in candidates}
    assert len(screen.members(date(2020, 1, 2))) >= 15
