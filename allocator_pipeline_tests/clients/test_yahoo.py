"""The client of Yahoo through yfinance, against a server that speaks as Yahoo does and fails as vendors do."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import traceback
import tracemalloc
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.clients.vendor import Pace
from allocator_pipeline.clients.yahoo import INTERVAL, YahooClient
from allocator_pipeline.errors import ConfigurationError, IncompleteDataError, UnsafeNameError, VendorError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.chart import read_chart
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.faults import CASES
from allocator_pipeline_tests.vendors.server import Fault, Reply
from allocator_pipeline_tests.vendors.yahoo import Yahoo

QUICK = Patience(tries=2, wait=0.0, longest_wait=1.0, max_bytes=2**20)
SHORT = replace(QUICK, connect=0.3, read=0.2)
"""For a vendor that never comes to an end."""
FIRST, LAST = date(2020, 8, 3), date(2020, 9, 11)
EVENING = pd.Timestamp("2020-09-11 23:00", tz="UTC")
CANARY = "canary-4711"
ENV = {"APCA_API_SECRET_KEY": CANARY, "ALPHAVANTAGE_API_KEY": CANARY}


def market(symbols=("AAPL", "BRK-B", "^VIX"), first="2020-08-03", last="2020-09-30"):
    days = calendar.sessions(first, last)
    tables = []
    for number, symbol in enumerate(symbols):
        draw = np.random.default_rng(number)
        closes = 400 * np.exp(np.cumsum(draw.normal(0, 0.01, len(days))))
        if symbol == "AAPL":
            closes[days >= "2020-08-31"] /= 4
        table = pd.DataFrame({"date": days, "open": closes * 0.99, "high": closes * 1.02, "low": closes * 0.98})
        tables.append(table.assign(close=closes, volume=1e6 + 1e4 * number, symbol=symbol))
    actions = pd.DataFrame(
        {
            "symbol": "AAPL",
            "date": pd.to_datetime(["2020-08-07", "2020-08-31"]),
            "kind": ["dividend", "split"],
            "value": [0.82, 4.0],
        }
    )
    return pd.concat(tables), actions


@pytest.fixture
def yahoo():
    with Yahoo(*market(), now=EVENING) as server:
        yield server


def client(server, patience=QUICK, now=EVENING):
    return YahooClient({"ALLOCATOR_YAHOO_URL": server.url, **ENV}, patience, now=lambda: now)


def change(edit):
    """A fault that edits the chart before it is sent."""

    def changed(body):
        values = json.loads(body)
        edit(values["chart"]["result"][0])
        return json.dumps(values).encode()

    return Fault("change", change=changed)


def test_a_chart_is_returned_as_received_after_one_request(yahoo):
    answer = client(yahoo).bars("AAPL", FIRST, LAST)
    assert len(yahoo.requests) == 1
    chart = read_chart(answer.body, answer.fetched_at)
    assert list(chart.sessions.index) == list(calendar.sessions(FIRST, LAST))
    asked = yahoo.requests[0]
    assert "Chrome" in asked.headers["user-agent"]
    assert asked.query == {name: value for name, value in answer.request.items() if name != "path"}
    assert answer.request["path"] == asked.path == "/v8/finance/chart/AAPL"
    assert json.loads(answer.body)["chart"]["result"][0]["meta"]["symbol"] == "AAPL"
    truth = market()[0].query("symbol == 'AAPL'").set_index("date")
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(chart.sessions[name], truth[name].reindex(chart.sessions.index), rtol=1e-6)
    assert chart.sessions["dividend"]["2020-08-07"] == pytest.approx(0.82)
    assert chart.sessions["split"]["2020-08-31"] == 4.0
    assert (chart.sessions["split"].drop(pd.Timestamp("2020-08-31")) == 1.0).all()


def test_requests_keep_apart_tries_again_included_but_a_server_on_this_machine_is_spared(yahoo):
    assert INTERVAL >= 2.5
    slept = []
    paced = client(yahoo)
    paced._pace = Pace(INTERVAL, slept.append, lambda: 0.0)  # that of Yahoo itself
    yahoo.faults.append(Fault(reply=Reply(b"", 503), times=1))
    for _ in range(2):
        paced.bars("AAPL", FIRST, LAST)
    assert slept == [INTERVAL, 2 * INTERVAL]
    start = time.monotonic()
    for _ in range(3):
        client(yahoo).bars("AAPL", FIRST, LAST)
    assert time.monotonic() - start < INTERVAL


def test_the_same_question_is_asked_anew_each_time(yahoo):
    for _ in range(2):
        client(yahoo).bars("AAPL", FIRST, LAST)
    assert len(yahoo.requests) == 2


@pytest.mark.parametrize("ticker", ["BRK.B", "^VIX"])
def test_class_shares_and_indices(yahoo, ticker):
    chart = read_chart(client(yahoo).bars(ticker, FIRST, LAST).body, EVENING)
    assert chart.ticker == ticker.replace(".", "-")


def test_the_chart_is_asked_for_up_to_the_present_because_of_later_splits(yahoo):
    answer = client(yahoo).bars("AAPL", FIRST, date(2020, 8, 14))
    chart = read_chart(answer.body, answer.fetched_at)
    assert chart.sessions.index[-1] == pd.Timestamp(LAST)
    assert chart.sessions["close"].iloc[0] > 300  # as traded, though Yahoo has divided it by four


def test_a_ticker_may_have_begun_later_than_asked(yahoo):
    answer = client(yahoo).bars("AAPL", date(2015, 1, 2), LAST)
    assert read_chart(answer.body, answer.fetched_at).first_trade == FIRST


def test_check_says_what_works(yahoo):
    assert client(yahoo).check().startswith("Yahoo answers without a key: AAPL closed at ")


def test_what_has_not_settled_is_not_asked_for(yahoo):
    with pytest.raises(IncompleteDataError, match="2020-09-10"):
        client(yahoo, now=pd.Timestamp("2020-09-11 21:59", tz="UTC")).bars("AAPL", FIRST, LAST)
    with pytest.raises(IncompleteDataError):
        client(yahoo).bars("AAPL", date(2020, 9, 5), date(2020, 9, 6))  # a weekend
    assert yahoo.requests == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_fault_ends_in_one_typed_error(yahoo, case, caplog):
    yahoo.faults.append(case.fault())
    caplog.set_level(logging.DEBUG)
    patience = SHORT if case.name in ("hang", "drip") else QUICK
    with pytest.raises((VendorError, IncompleteDataError)) as caught:
        client(yahoo, patience).bars("AAPL", FIRST, LAST)
    assert 1 <= len(yahoo.requests) <= (case.tries or QUICK.tries)
    assert caught.value.symbol == "AAPL"
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert CANARY not in told
    assert "period1" not in told
    yahoo.faults.clear()
    assert client(yahoo).bars("AAPL", FIRST, LAST).body  # nothing of it stays behind


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(yahoo, status):
    with Yahoo(*market(), now=EVENING) as elsewhere:
        reply = Reply(b"", status, {"Location": f"{elsewhere.url}/v8/finance/chart/AAPL"})
        yahoo.faults.append(Fault(reply=reply))
        with pytest.raises(VendorError, match="not followed"):
            client(yahoo).bars("AAPL", FIRST, LAST)
        assert elsewhere.requests == []
    assert len(yahoo.requests) == 1


def test_an_answer_that_unpacks_to_a_gigabyte_is_cut_off(yahoo):
    yahoo.faults.append(Fault("bomb"))
    tracemalloc.start()
    try:
        with pytest.raises(VendorError, match="more than 1048576 bytes"):
            client(yahoo).bars("AAPL", FIRST, LAST)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_what_passes_is_tried_again(yahoo):
    yahoo.faults += [replace(CASES[4].fault(), times=1)]
    assert client(yahoo).bars("AAPL", FIRST, LAST).body
    assert len(yahoo.requests) == 2


def without(day):
    def edit(result):
        position = [pd.Timestamp(stamp, unit="s").date() for stamp in result["timestamp"]].index(day)
        del result["timestamp"][position]
        for column in result["indicators"]["quote"][0].values():
            del column[position]

    return edit


def nothing(*names, rows=slice(None)):
    def edit(result):
        quote = result["indicators"]["quote"][0]
        for name in names or list(quote):
            quote[name][rows] = [None] * len(quote[name][rows])

    return edit


def put(name, value):
    def edit(result):
        result["meta"][name] = value

    return edit


def empty(result):
    del result["timestamp"]
    result["indicators"] = {"quote": [{}], "adjclose": [{}]}


WRONG = {
    "all empty": (empty, IncompleteDataError),
    "all rows null": (nothing(), IncompleteDataError),
    "a column of nothing": (nothing("close"), IncompleteDataError),
    "no volumes": (nothing("volume"), IncompleteDataError),
    "last day missing": (without(LAST), IncompleteDataError),
    "first day missing": (without(FIRST), IncompleteDataError),
    "a day missing": (without(date(2020, 8, 20)), IncompleteDataError),
    "the last rows null": (nothing(rows=slice(-2, None)), IncompleteDataError),
    "an open of nothing": (nothing("open", rows=slice(7, 8)), IncompleteDataError),
    "another symbol": (put("symbol", "MSFT"), VendorError),
    "another currency": (put("currency", "EUR"), VendorError),
    "another time zone": (put("exchangeTimezoneName", "Europe/Berlin"), VendorError),
    "months": (put("dataGranularity", "1mo"), VendorError),
    "no meta": (lambda result: result.pop("meta"), VendorError),
    "one number less": (lambda result: result["indicators"]["quote"][0]["low"].pop(), VendorError),
    "words for numbers": (lambda result: result["indicators"]["quote"][0]["low"].__setitem__(3, "n/a"), VendorError),
    "a zero": (lambda result: result["indicators"]["quote"][0]["low"].__setitem__(3, 0), IncompleteDataError),
    "infinity": (lambda result: result["indicators"]["quote"][0]["close"].__setitem__(3, 1e999), IncompleteDataError),
    "high below low": (
        lambda result: result["indicators"]["quote"][0]["high"].__setitem__(3, 1.0),
        IncompleteDataError,
    ),
    "a split of nothing": (
        lambda result: next(iter(result["events"]["splits"].values())).__setitem__("denominator", 0),
        VendorError,
    ),
    "a moment beyond time": (lambda result: result["timestamp"].__setitem__(3, 10**18), VendorError),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_is_not_whole_is_refused(yahoo, name):
    edit, kind = WRONG[name]
    yahoo.faults.append(change(edit))
    with pytest.raises(kind, match="What to do"):
        client(yahoo).bars("AAPL", FIRST, LAST)
    assert len(yahoo.requests) == 1


def test_an_error_inside_an_answer_is_one(yahoo):
    words = b'{"chart": {"result": null, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}'
    yahoo.faults.append(Fault("change", change=lambda _: words))
    with pytest.raises(VendorError, match="Invalid Crumb"):
        client(yahoo).bars("AAPL", FIRST, LAST)


def test_unknown_and_delisted_tickers(yahoo):
    with pytest.raises(VendorError, match="status 404"):
        client(yahoo).bars("GONE", FIRST, LAST)
    with pytest.raises(VendorError, match="status 400"):
        client(yahoo, now=pd.Timestamp("2021-06-01", tz="UTC")).bars("AAPL", date(2021, 1, 4), date(2021, 1, 8))


def test_a_ticker_given_to_another_company_is_refused(yahoo):
    with pytest.raises(IncompleteDataError, match="first trade of that ticker is of 2020-08-03"):
        client(yahoo).bars("AAPL", date(2015, 1, 2), date(2018, 1, 2))


HOSTILE = (
    "../..",
    "/etc/passwd",
    "AAPL/../MSFT",
    "AAPL?x=1",
    "AAPL#",
    "A\0",
    "A\nB",
    "A" * 300,
    "'; DROP TABLE bars;--",
)
HOSTILE += ("", ".", "..", "aapl", "AAPL ", "%2e%2e", "US0378331005", "http://127.0.0.2:9/", "@host", "A:80", None, 7)


@pytest.mark.parametrize("ticker", HOSTILE)
def test_names_that_are_no_tickers_are_never_asked(yahoo, ticker):
    with pytest.raises(UnsafeNameError):
        client(yahoo).bars(ticker, FIRST, LAST)
    assert yahoo.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://127.0.0.1.example.org",
        "http://user@127.0.0.1",
        "http://127.0.0.1/x?y",
        "ftp://127.0.0.1",
        "http://127.0.0.1:x",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_only_this_machine_stands_in_for_yahoo(url):
    with pytest.raises(ConfigurationError, match="ALLOCATOR_YAHOO_URL"):
        YahooClient({"ALLOCATOR_YAHOO_URL": url})


def test_the_client_costs_the_code_location_nothing_and_writes_nothing_at_home(yahoo, tmp_path):
    program = (
        "import sys, datetime, pandas as pd\n"
        "from allocator_pipeline.clients.yahoo import YahooClient\n"
        "assert 'yfinance' not in sys.modules and 'curl_cffi' not in sys.modules\n"
        f"now = lambda: pd.Timestamp({EVENING.isoformat()!r})\n"
        f"client = YahooClient({{'ALLOCATOR_YAHOO_URL': {yahoo.url!r}}}, now=now)\n"
        "client.bars('AAPL', datetime.date(2020, 8, 3), datetime.date(2020, 9, 11))\n"
        "assert 'yfinance' in sys.modules\n"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**home, "PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(tmp_path.rglob("*")) == []


def test_proxies_of_the_environment_do_not_reach_loopback(yahoo, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client(yahoo).bars("AAPL", FIRST, LAST).body
