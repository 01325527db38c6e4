"""What Yahoo does wrong on one day is refused or mended by rule; the history afterwards is that without it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.clients.yahoo import YahooClient
from allocator_pipeline.errors import IncompleteDataError, VendorError
from allocator_pipeline.market.live.adjust import adjusted
from allocator_pipeline.market.live.bars import daily_bars, require_joined
from allocator_pipeline.market.membership import Listing
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.market.live.answers import Truth, without_events
from allocator_pipeline_tests.vendors.server import Fault
from allocator_pipeline_tests.vendors.yahoo import Yahoo

TRUTHS = {
    "AAA": Truth.drawn(1, 30, {12: 0.4, 18: 0.2}, {8: 3.0, 21: 4.0}),
    "BBB": Truth.drawn(2, 30, {5: 0.3, 21: 0.1}, {15: 0.1, 21: 2.0}),
}
DAYS = TRUTHS["AAA"].sessions.index
QUICK = Patience(tries=1, wait=0.0)
CASES = [(symbol, place) for symbol in TRUTHS for place in range(4)]
cases = pytest.mark.parametrize(("symbol", "place"), CASES)


class Days:
    """A client and a store that live through the days of the two stocks."""

    def __init__(self, root) -> None:
        bars = pd.concat(
            [truth.sessions.reset_index(names="date").assign(symbol=name) for name, truth in TRUTHS.items()]
        )
        told = bars.melt(["date", "symbol"], ["dividend", "split"], "kind", "value")
        actions = told[told["value"] != told["kind"].map({"dividend": 0.0, "split": 1.0})]
        self.server, self.store = Yahoo(bars, actions, self.evening(20)), RawStore(root)

    @staticmethod
    def evening(row: int) -> pd.Timestamp:
        return TRUTHS["AAA"].moment(row).tz_convert("UTC")

    @staticmethod
    def listings(symbol: str) -> list[Listing]:
        return [Listing(symbol, symbol, DAYS[0].date())]

    def fetch(self, symbol: str, first: int, last: int, now: pd.Timestamp | None = None) -> None:
        self.server.now = now or self.evening(last)
        client = YahooClient({"ALLOCATOR_YAHOO_URL": self.server.url}, QUICK, now=lambda: self.server.now)
        days = DAYS[first].date(), DAYS[last].date()
        answer = client.bars(symbol, *days)
        require_joined(self.store, symbol, self.listings(symbol), answer.body, answer.fetched_at)
        key, request = RawKey("yahoo", "bars", symbol), answer.request
        self.store.put(key, answer.body, fetched_at=answer.fetched_at, first=days[0], last=days[1], request=request)

    def found(self, symbol: str):
        return daily_bars(self.store, symbol, self.listings(symbol))

    def returns(self, symbol: str) -> pd.Series:
        found = self.found(symbol)
        return adjusted(found.bars, found.actions).set_index("date")["adj_close"].pct_change()[1:]


@pytest.fixture
def days(tmp_path):
    lived = Days(tmp_path)
    with lived.server:
        for symbol in TRUTHS:
            lived.fetch(symbol, 0, 20)
        yield lived


def wrong(symbol: str, edit: Callable[[dict], object]) -> Fault:
    def change(body: bytes) -> bytes:
        values = json.loads(body)
        edit(values["chart"]["result"][0])
        return json.dumps(values).encode()

    return Fault("change", change=change, match=f"/{symbol}$")


def refused(
    days: Days, symbol: str, fault: Fault, *, kind: type[Exception] = IncompleteDataError, first: int = 14
) -> None:
    """Meet a fault on day 21, find nothing changed, and the history of day 24 as if there had been none."""
    before = days.returns(symbol)
    days.server.faults.append(fault)
    with pytest.raises(kind) as caught:
        days.fetch(symbol, first, 21)
    assert caught.value.symbol == symbol
    pd.testing.assert_series_equal(days.returns(symbol), before)
    other = next(name for name in TRUTHS if name != symbol)
    days.fetch(other, first, 21)
    days.server.faults.clear()
    assert_as_undisturbed(days, symbol, before)


def assert_as_undisturbed(days: Days, symbol: str, before: pd.Series) -> None:
    days.fetch(symbol, 14, 24)
    after = days.returns(symbol)
    np.testing.assert_allclose(after[before.index], before, rtol=0, atol=1e-10)
    np.testing.assert_allclose(after, TRUTHS[symbol].returns[1:25], atol=2e-6)


@cases
def test_all_empty(days, symbol, place):
    def edit(result):
        quote = result["indicators"]["quote"][0]
        if place == 0:
            result.pop("timestamp"), quote.clear()
        elif place == 1:
            result["timestamp"], result["indicators"]["quote"] = [], [{name: [] for name in quote}]
        elif place == 2:
            result["timestamp"], result["indicators"]["quote"] = None, [{}]
        else:
            quote.update({name: [None] * len(values) for name, values in quote.items()})

    refused(days, symbol, wrong(symbol, edit))


@cases
def test_one_symbol_of_nothing(days, symbol, place):
    name = ("open", "low", "close", "volume")[place]

    def edit(result):
        result["indicators"]["quote"][0][name] = [None] * len(result["timestamp"])

    refused(days, symbol, wrong(symbol, edit))


@cases
def test_the_last_day_missing(days, symbol, place):
    def edit(result):
        columns = [result["timestamp"], *result["indicators"]["quote"][0].values()]
        if place == 3:
            for column in columns[1:]:
                column[-1] = None
        else:
            for column in columns:
                del column[-1 - place :]

    refused(days, symbol, wrong(symbol, edit))


@cases
def test_a_live_bar(days, symbol, place):
    before = days.returns(symbol)
    now = days.evening(21) - pd.Timedelta(hours=(5, 6.5, 9, 12)[place])  # the close is 6 hours before the evening
    with pytest.raises(IncompleteDataError, match="not settled"):
        days.fetch(symbol, 14, 21, now)
    days.fetch(symbol, 14, 20, now)
    pd.testing.assert_series_equal(days.returns(symbol), before)
    assert_as_undisturbed(days, symbol, before)


@cases
def test_a_day_twice(days, symbol, place):
    """The day's bar at its opening, and again at the last trade: one of them, if they tell the same."""
    before = days.returns(symbol)
    near = place % 2 == 0
    row = -1 if place < 2 else 2

    def edit(result):
        quote = result["indicators"]["quote"][0]
        result["timestamp"].insert(
            len(result["timestamp"]) + row + 1 if row < 0 else row, result["timestamp"][row] + 23_401
        )
        for name, values in quote.items():
            values.insert(len(values) + row + 1 if row < 0 else row, values[row] * (1.0001 if near else 1.02))
            assert len(values) == len(result["timestamp"]), name

    fault = wrong(symbol, edit)
    if not near:
        refused(days, symbol, fault, kind=VendorError)
        return
    days.server.faults.append(fault)
    days.fetch(symbol, 14, 21)
    days.server.faults.clear()
    assert not days.found(symbol).bars["date"].duplicated().any()
    days.fetch(symbol, 14, 24)
    np.testing.assert_allclose(days.returns(symbol)[before.index], before, rtol=0, atol=1e-10)
    np.testing.assert_allclose(days.returns(symbol), TRUTHS[symbol].returns[1:25], atol=2e-4)


@cases
def test_a_split_of_today(days, symbol, place):
    """Listed and divided by, it is taken; listed and not divided by, or the other way round, it waits."""
    before = days.returns(symbol)
    if place == 0:
        days.fetch(symbol, 14, 21)
        assert_as_undisturbed(days, symbol, before)
        return
    first = (0, 14, 20, 19)[place]
    if place < 3:
        unlisted = Fault("change", change=lambda body: without_events(body, [DAYS[21].date()]), match=f"/{symbol}$")
        refused(days, symbol, unlisted, first=first)
        return
    ratio = TRUTHS[symbol].sessions["split"].iloc[21]

    def undivided(result):
        for name in ("open", "high", "low", "close"):
            values = result["indicators"]["quote"][0][name]
            values[:-1] = [price * ratio for price in values[:-1]]

    refused(days, symbol, wrong(symbol, undivided), first=first)


@cases
def test_a_history_rewritten(days, symbol, place):
    before = days.returns(symbol)
    row = (2, 9, 16, 20)[place]

    def edit(result):
        for name in ("open", "high", "low", "close"):
            result["indicators"]["quote"][0][name][row] *= 1.03

    days.server.faults.append(wrong(symbol, edit))
    days.fetch(symbol, 0, 21)
    days.server.faults.clear()
    found = days.found(symbol)
    assert list(found.rewritten["date"]) == [day for day in DAYS[row : row + 2] if day <= DAYS[20]]
    assert (found.rewritten["symbol"] == symbol).all()
    assert_as_undisturbed(days, symbol, before)


@cases
def test_a_symbol_renamed(days, symbol, place):
    def edit(result):
        result["meta"]["symbol"] = ("META", "", None, symbol.lower())[place]

    refused(days, symbol, wrong(symbol, edit), kind=VendorError)
