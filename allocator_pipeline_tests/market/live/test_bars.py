"""One history out of many answers: what was known first stays, whatever splits, dividends and downloads come later."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocator_pipeline import schemas
from allocator_pipeline.errors import IncompleteDataError, MarketDataError
from allocator_pipeline.market.live.adjust import adjusted
from allocator_pipeline.market.live.bars import DailyBars, daily_bars, require_joined
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawStore
from allocator_pipeline_tests.market.live.answers import KEY, LISTINGS, Truth, keep

COUNT = 40
RATIOS = (2.0, 3.0, 4.0, 7.0, 20.0, 0.125, 0.1, 1.048, 2.084202)
rows = st.integers(1, COUNT - 1)


def history(store, listings=LISTINGS) -> DailyBars:
    return daily_bars(store, "ACME", listings)


def returns(found: DailyBars) -> pd.Series:
    return adjusted(found.bars, found.actions).set_index("date")["adj_close"].pct_change()


def rescaled(body: bytes, factor: float, rows=slice(None)) -> bytes:
    values = json.loads(body)
    quote = values["chart"]["result"][0]["indicators"]["quote"][0]
    for name in ("open", "high", "low", "close"):
        quote[name][rows] = [price * factor for price in quote[name][rows]]
    return json.dumps(values).encode()


def told_of_neighbours(found: DailyBars, truth: Truth) -> pd.Series:
    """Return the returns between sessions that follow each other in truth as well."""
    positions = truth.sessions.index.get_indexer(found.bars["date"])
    return returns(found)[np.r_[False, np.diff(positions) == 1]]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dividends=st.dictionaries(rows, st.floats(0.01, 2.0), max_size=4),
    splits=st.dictionaries(rows, st.sampled_from(RATIOS), max_size=4),
    downloads=st.dictionaries(rows, st.integers(0, COUNT - 2), min_size=2, max_size=5),
    order=st.permutations(range(5)),
)
def test_no_download_changes_a_return_that_was_known(seed, dividends, splits, downloads, order):
    truth = Truth.drawn(seed, COUNT, dividends, splits)
    paid = truth.sessions["dividend"] * truth.sessions["split"] / truth.sessions["close"].shift()
    assume((paid[1:] < 0.5).all())  # splits may leave a price that is less than a dividend
    answers = [
        (truth.answer(min(first, last), truth.moment(last)), truth.moment(last))
        for last, first in sorted(downloads.items())
    ]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        store, again = RawStore(Path(one)), RawStore(Path(other))
        before = pd.Series(dtype=float)
        for body, now in answers:
            keep(store, body, now)
            found = history(store)
            known = told_of_neighbours(found, truth)
            np.testing.assert_allclose(known[before.index], before, rtol=0, atol=1e-10)
            np.testing.assert_allclose(known, truth.returns[known.index], atol=2e-6)
            assert found.rewritten.empty
            before = known
        for number in order:
            if number < len(answers):
                keep(again, *answers[number])
        pd.testing.assert_frame_equal(history(again).bars, found.bars)
        pd.testing.assert_frame_equal(history(again).actions, found.actions)


def test_bars_and_actions_are_as_they_traded(tmp_path):
    truth = Truth.drawn(1, COUNT, {10: 0.5, 25: 0.7, 30: 0.2}, {20: 4.0, 30: 0.5})
    store = RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(COUNT - 1)), truth.moment(COUNT - 1))
    found = history(store)
    assert list(found.bars) == ["date", "open", "high", "low", "close", "volume"]
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(found.bars[name], truth.sessions[name], rtol=2e-6)
    schemas.validate(found.actions, schemas.CORPORATE_ACTIONS, "test")
    days = truth.sessions.index
    assert list(found.actions["date"]) == [days[10], days[20], days[25], days[30], days[30]]
    assert list(found.actions["kind"]) == ["dividend", "split", "dividend", "dividend", "split"]
    np.testing.assert_allclose(found.actions["value"], [0.5, 4.0, 0.7, 0.2, 0.5], rtol=1e-6)


def test_no_answer_is_no_history(tmp_path):
    found = history(RawStore(tmp_path))
    assert found.bars.empty
    assert found.actions.empty
    assert found.rewritten.empty


@pytest.mark.parametrize("row", range(1, 21, 2))
def test_a_rewritten_bar_is_listed_and_not_taken(tmp_path, row):
    truth, store = Truth.drawn(row, COUNT, {}, {}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(25)), truth.moment(25))
    first = history(store)
    later = rescaled(truth.answer(0, truth.moment(30)), 1.02, slice(row, row + 1))
    require_joined(store, "ACME", LISTINGS, later, truth.moment(30).to_pydatetime())
    keep(store, later, truth.moment(30))
    found = history(store)
    pd.testing.assert_frame_equal(found.bars[:26], first.bars)
    assert len(found.bars) == 31
    assert list(found.rewritten["date"]) == list(truth.sessions.index[row : row + 2])
    assert found.rewritten["difference_bp"].between(150, 250).all()
    assert set(found.rewritten["symbol"]) == {"ACME"}


@pytest.mark.parametrize("row", [3, 12, 24])
def test_a_dividend_that_is_told_late_is_listed_however_small(tmp_path, row):
    truth, store = Truth.drawn(row, COUNT, {row: 0.2}, {}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(25), unlisted=(row,)), truth.moment(25))
    keep(store, truth.answer(0, truth.moment(30)), truth.moment(30))
    found = history(store)
    assert found.actions.empty
    assert list(found.rewritten["date"]) == [truth.sessions.index[row]]
    assert 0 < found.rewritten["difference_bp"].item() < 50


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("overlap", [1, 2, 12])
def test_a_split_of_today_that_is_not_listed_yet_is_not_joined(tmp_path, ratio, overlap):
    truth, store = Truth.drawn(7, COUNT, {}, {30: ratio}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(29)), truth.moment(29))
    today = truth.answer(30 - overlap, truth.moment(30), unlisted=(30,))
    with pytest.raises(IncompleteDataError, match="another scale") as caught:
        require_joined(store, "ACME", LISTINGS, today, truth.moment(30).to_pydatetime())
    assert caught.value.symbol == "ACME"
    assert str(truth.sessions.index[30].date()) in str(caught.value)
    keep(store, today, truth.moment(30))  # kept nonetheless, it changes nothing
    assert len(history(store).bars) == 30
    tomorrow = truth.answer(30 - overlap, truth.moment(31))
    require_joined(store, "ACME", LISTINGS, tomorrow, truth.moment(31).to_pydatetime())
    keep(store, tomorrow, truth.moment(31))
    np.testing.assert_allclose(returns(history(store))[1:], truth.returns[1:32], atol=2e-6)


def test_a_split_by_which_prices_are_not_divided_yet_is_not_joined(tmp_path):
    truth, store = Truth.drawn(7, COUNT, {}, {30: 4.0}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(25)), truth.moment(25))
    today = rescaled(truth.answer(20, truth.moment(30)), 4.0, slice(0, 10))
    with pytest.raises(IncompleteDataError, match="5 sessions"):
        require_joined(store, "ACME", LISTINGS, today, truth.moment(30).to_pydatetime())


def test_a_split_that_the_very_first_answer_does_not_list_never_tears_the_history(tmp_path):
    truth, store = Truth.drawn(3, COUNT, {}, {20: 4.0}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(20), unlisted=(20,)), truth.moment(20))
    for last in (21, 25, 29):
        keep(store, truth.answer(last - 5, truth.moment(last)), truth.moment(last))
        found = history(store)
        np.testing.assert_allclose(returns(found)[1:], truth.returns[1 : last + 1], atol=2e-6)
        assert found.rewritten.empty


def test_the_record_that_yahoo_has_mended_since_is_named_and_removing_it_helps(tmp_path):
    truth, store = Truth.drawn(3, COUNT, {}, {}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(15)), truth.moment(15))
    keep(store, rescaled(truth.answer(10, truth.moment(25)), 0.5, slice(6, None)), truth.moment(25))
    mended, when = truth.answer(12, truth.moment(35)), truth.moment(35).to_pydatetime()
    with pytest.raises(IncompleteDataError, match="another scale") as caught:
        require_joined(store, "ACME", LISTINGS, mended, when)
    good, bad = (store.place(record) for record in store.records(KEY))
    assert f"remove the record {bad} from the raw data" in caught.value.todo
    assert good not in caught.value.todo

    (store.root / bad).unlink()
    require_joined(store, "ACME", LISTINGS, mended, when)
    keep(store, mended, truth.moment(35))
    np.testing.assert_allclose(returns(history(store))[1:], truth.returns[1:36], atol=2e-6)


def test_earlier_sessions_are_joined_too(tmp_path):
    truth, store = Truth.drawn(3, COUNT, {5: 0.4}, {8: 2.0}), RawStore(tmp_path)
    keep(store, truth.answer(15, truth.moment(20)), truth.moment(20))
    keep(store, truth.answer(0, truth.moment(22)), truth.moment(22))
    np.testing.assert_allclose(returns(history(store))[1:], truth.returns[1:23], atol=2e-6)
    other = RawStore(tmp_path / "other")
    keep(other, truth.answer(15, truth.moment(20)), truth.moment(20))
    wrong = rescaled(truth.answer(0, truth.moment(22)), 3.0, slice(0, 20))
    keep(other, wrong, truth.moment(22))
    assert list(history(other).bars["date"]) == list(truth.sessions.index[15:23])


def test_a_companys_past_stands_under_one_ticker_and_counts_in_the_spans_of_its_listings(tmp_path):
    truth, store = Truth.drawn(3, COUNT, {}, {}), RawStore(tmp_path)
    days = truth.sessions.index
    keep(store, truth.answer(0, truth.moment(20)), truth.moment(20))
    listings = [Listing("ACME", "ACM.E", days[5].date(), days[9].date()), Listing("ACME", "ACME", days[12].date())]
    assert list(history(store, listings).bars["date"]) == [*days[5:10], *days[12:21]]


def test_a_live_bar_is_left_for_later(tmp_path):
    truth, store = Truth.drawn(3, COUNT, {}, {}), RawStore(tmp_path)
    noon = truth.moment(20) - pd.Timedelta(hours=10)
    keep(store, truth.answer(0, noon), noon)
    assert len(history(store).bars) == 20
    keep(store, truth.answer(15, truth.moment(20)), truth.moment(20))
    found = history(store)
    assert found.bars["close"].iloc[-1] == pytest.approx(truth.sessions["close"].iloc[20], rel=1e-6)
    assert found.rewritten.empty


def test_a_chart_that_goes_on_after_the_listing_is_another_companys():
    truth = Truth.drawn(3, 40, {}, {})
    days, now = truth.sessions.index, truth.moment(39)
    body, when = truth.answer(0, now), now.to_pydatetime()
    empty = RawStore(Path("nowhere"))
    ended = Listing("OLD", "ACME", days[0].date(), days[29].date())

    with pytest.raises(MarketDataError, match=f"up to {days[39].date()}, but the listing ends on {days[29].date()}"):
        require_joined(empty, "OLD", [ended], body, when)
    require_joined(empty, "OLD", [replace(ended, last=days[39].date())], body, when)


def test_a_kept_chart_that_goes_on_after_the_listing_is_not_read(tmp_path):
    truth, store = Truth.drawn(3, 40, {}, {}), RawStore(tmp_path)
    keep(store, truth.answer(0, truth.moment(39)), truth.moment(39))
    ended = Listing("ACME", "ACME", LISTINGS[0].first, truth.sessions.index[29].date())
    with pytest.raises(MarketDataError, match="another company today"):
        daily_bars(store, "ACME", [ended])
