"""What a year lacks though nothing failed."""

from datetime import date

import pandas as pd

from allocator_pipeline.config import RATIOS
from allocator_pipeline.market import calendar
from allocator_pipeline.market.gaps import not_there, silent_stocks, thin_series, without_quarters
from allocator_pipeline.market.live.needs import Need
from allocator_pipeline.market.raw import RawKey


def need(name: str, first: date = date(2018, 1, 1), last: date = date(2018, 12, 31), kind: str = "news") -> Need:
    return Need(RawKey("vendor", kind, name), name, first, last)


def test_stocks_of_the_universe_that_nothing_is_said_about_are_named():
    needs = [need("A"), need("B"), need("C"), need("NEW", date(2018, 12, 1))]
    told = pd.DataFrame({"symbol": ["A"]})
    assert silent_stocks(told, ["A", "B", "NEW", "NOT_ASKED"], needs) == ["B has no article."]
    assert silent_stocks(told, [], needs) == [], "the universe is not made yet"
    assert silent_stocks(told[:0], [], needs) == ["There is no article about any of 3 stocks."]
    assert silent_stocks(told[:0], ["A"], []) == [], "before the vendor's news begins"


def test_candidates_without_a_quarter_are_named_once_whatever_is_asked_for_them():
    early = [need("A", last=date(2018, 6, 30)), need("A", date(2018, 7, 1)), need("B"), need("B", kind="earnings")]
    empty, told = dict.fromkeys(RATIOS), dict.fromkeys(RATIOS, 0.5)
    table = pd.DataFrame([{"symbol": "A", **told}, {"symbol": "B", **empty}])
    assert without_quarters(table, early) == ["No quarter of B became known."]
    assert without_quarters(table[:0], [need("A", last=date(2018, 3, 31))]) == [], "none may be known yet"


def test_series_that_lack_values_are_named_with_what_they_have():
    days = calendar.sessions("2018-01-01", "2018-12-31")
    table = pd.DataFrame({"date": [*days[7:], *days[:5]], "series": ["YIELD"] * 244 + ["VIX"] * 5})
    needs = [need("YIELD"), need("VIX"), need("ABSENT")]
    found = ["VIX has a value on 5 of 251 sessions.", "ABSENT has a value on 0 of 251 sessions."]
    assert thin_series(table, needs, date(2020, 1, 31)) == found
    early = [need("VIX", last=date(2018, 1, 18))]
    assert thin_series(table, early, date(2018, 1, 18)) == [], "the last releases are still to come"
    assert thin_series(table, early, date(2018, 3, 29)) == ["VIX has a value on 5 of 12 sessions."]


def test_days_that_are_due_and_not_there_are_counted():
    span = {"first": pd.Timestamp("2018-01-01"), "last": pd.Timestamp("2018-12-31"), "due": 251}
    rows = [
        ("A", "bars", 251),
        ("B", "bars", 250),
        ("YIELD", "observations", 244),
        ("^TNX", "index", 244),
        ("THIN", "observations", 243),
    ]
    table = pd.DataFrame([{"name": name, "kind": kind, "asked": name, "there": n, **span} for name, kind, n in rows])
    assert not_there(table) == [
        "B lacks 1 of 251 due from 2018-01-01 to 2018-12-31 (bars).",
        "THIN lacks 8 of 251 due from 2018-01-01 to 2018-12-31 (observations).",
    ]
