"""The live market through its vendors on loopback: the same tables as from files, complete or refused, and safe."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from allocator_pipeline.config import LiveConfig
from allocator_pipeline.defs.downloads import download_years, raw_coverage
from allocator_pipeline.errors import ConfigurationError, IncompleteDataError, NotEnoughDataError, VendorError
from allocator_pipeline.market import calendar
from allocator_pipeline.market.live.market import LiveMarket
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline.market.membership import membership_of
from allocator_pipeline.market.raw import RawKey, RawStore
from allocator_pipeline_tests.vendors.small import SYMBOLS, YEARS, fetch, live_market, made_up, write_files
from allocator_pipeline_tests.vendors.together import SECRETS, Vendors, write_candidates
from allocator_pipeline_tests.vendors.truth import Truth


@pytest.fixture(scope="module")
def truth() -> Truth:
    return made_up(1, [(0, 100, "split"), (1, 200, "dividend"), (2, 300, "split"), (2, 301, "dividend")])


@pytest.fixture(scope="module")
def vendors(truth):
    with Vendors(truth) as started:
        yield started


@pytest.fixture(autouse=True)
def environment(vendors, monkeypatch):
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def fetched(vendors, tmp_path_factory) -> Path:
    """Return a folder in which everything has been downloaded."""
    folder = tmp_path_factory.mktemp("fetched")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in vendors.env.items():
            patched.setenv(name, value)
        assert fetch(live_market(vendors, folder)) == 15 + 15 + 30 + 15 + 6
    return folder


ADJUSTED = ["adj_close", "volume"]
KINDS = st.sampled_from(["split", "3:1", "1:10", "dividend"])
WORDS = st.sampled_from(
    ["great <b>gain</b>", "<script>gain</script>", "loss &amp; gain &lt; 5", "S&P < 5 > 3", "gain " * 500]
)
ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)  # control characters, other alphabets, nothing


@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # each example is a back-fill of two years: to shrink one would take minutes
@given(
    st.integers(0, 2**32 - 1),
    st.lists(  # each kind once a stock: a dividend stays below the price
        st.tuples(st.integers(0, 14), st.integers(1, 500), KINDS),
        max_size=12,
        unique_by=lambda one: (one[0], one[2]),
    ),
    st.lists(st.tuples(st.integers(0, 149), st.sampled_from([0, 3, 7, 8, 30]), st.integers(0, 1)), max_size=12),
    st.lists(st.tuples(st.integers(0, 149), WORDS | ODD), max_size=12),
    st.sampled_from(["edgar", "alphavantage"]),
)
@example(  # an article on New Year's Day, before the first session; one that is repeated just in time, and just not
    10207680,
    [(0, 100, "3:1"), (1, 200, "1:10"), (1, 201, "dividend")],
    [(3, 7, 0), (4, 7, 1), (5, 3, 0), (5, 8, 0)],
    [(6, "<b>great</b> gain\x00\u200b"), (7, "gain " * 500), (8, "<i></i>")],
    "edgar",
)
def test_files_and_live_give_the_same_tables(tmp_path_factory, seed, actions, repeats, texts, vendor):
    folder, drawn = tmp_path_factory.mktemp("same"), made_up(seed, actions)
    told = replace(drawn, news=retold(drawn.news, repeats, texts))
    files = write_files(told, folder / "files")
    with Vendors(told) as started, pytest.MonkeyPatch.context() as patched:
        for name, value in started.env.items():
            patched.setenv(name, value)
        live = live_market(started, folder, fundamentals=vendor)
        fetch(live)
    exact = not {"3:1", "1:10"} & {
        kind for *_, kind in actions
    }  # what binary halves does Yahoo's single precision keep
    for year in YEARS:
        ours, theirs = live.prices(year), files.prices(year)
        pd.testing.assert_frame_equal(ours.drop(columns=ADJUSTED), theirs.drop(columns=ADJUSTED))
        np.testing.assert_allclose(ours["adj_close"], theirs["adj_close"], rtol=1e-12 if exact else 1e-6)
        np.testing.assert_allclose(ours["volume"], theirs["volume"], rtol=0, atol=0 if exact else 5)  # whole new shares
        ours, theirs = live.sentiment(year), files.sentiment(year)
        pd.testing.assert_frame_equal(ours.drop(columns="scorer"), theirs.drop(columns="scorer"), check_exact=True)
        assert set(ours["scorer"].str.slice(0, 5)) == {"vader"}
        ours, theirs = live.fundamentals(year), files.fundamentals(year)
        pd.testing.assert_frame_equal(ours.drop(columns="source"), theirs.drop(columns="source"))
        assert set(ours["source"]) == {vendor}
        assert live.price_doubts(year).empty
        assert live.restatements(year).empty


def retold(news: pd.DataFrame, repeats: list[tuple[int, int, int]], texts: list[tuple[int, str]]) -> pd.DataFrame:
    """Return articles with some texts replaced, and some told again (article, days, seconds) later, as HTML."""
    table = news.copy()
    for place, text in texts:
        table.loc[place, "text"] = text
    again = table.loc[[place for place, *_ in repeats]].reset_index(drop=True)
    again["published_at"] += pd.to_timedelta([days * 86_400 + seconds for _, days, seconds in repeats], unit="s")
    again["article_id"] = 2 * 10**6 + np.arange(len(again))
    table = pd.concat([table, again[again["published_at"] < pd.Timestamp("2019-12-30", tz="UTC")]], ignore_index=True)
    return table.assign(html=table["text"])


def test_a_stock_that_ends_within_a_year_is_the_same_from_files_where_its_last_close_is_carried_on(
    truth, tmp_path, monkeypatch
):
    ends = pd.Timestamp("2019-06-28")
    cut = replace(truth, bars=truth.bars[~((truth.bars["symbol"] == "S05") & (truth.bars["date"] > ends))])
    with Vendors(cut) as started:
        for name, value in started.env.items():
            monkeypatch.setenv(name, value)
        market = live_market(started, tmp_path, second_source=False)
        listed = (tmp_path / "candidates.csv").read_text().replace("S05,1990-01-01,,", "S05,1990-01-01,2019-06-28,")
        (tmp_path / "candidates.csv").write_text(listed)
        market = LiveMarket(market.config, market.raw, market.scores)
        download_years(market, "yahoo_bars", ["2018", "2019"])
    last = cut.bars[(cut.bars["symbol"] == "S05") & (cut.bars["date"] == ends)].iloc[0]
    after = calendar.sessions("2019-07-01", "2019-12-31")
    flat = dict.fromkeys(("open", "high", "low", "close"), last["close"])
    rows = pd.DataFrame({"date": after, "symbol": "S05", **flat, "volume": 0.0, "adj_close": last["adj_close"]})
    files = write_files(replace(cut, bars=pd.concat([cut.bars, rows], ignore_index=True)), tmp_path / "files")
    for year in YEARS:
        ours, theirs = market.prices(year), files.prices(year)
        pd.testing.assert_frame_equal(ours.drop(columns="source"), theirs.drop(columns="source"))
    assert (market.prices(2019)["source"] == "proceeds").sum() == len(after)


def test_a_second_run_asks_nothing_and_needs_no_keys(vendors, fetched, monkeypatch):
    asked = vendors.asked
    for name in SECRETS:
        monkeypatch.delenv(name)
    assert fetch(live_market(vendors, fetched)) == 0
    assert vendors.asked == asked


def test_tables_are_made_without_a_network(vendors, fetched):
    asked = vendors.asked
    market = live_market(vendors, fetched)
    assert len(market.prices(2018)) == 251 * 15
    assert market.coverage().symbols == tuple(SYMBOLS)
    assert not market.macro(2019).empty
    assert len(market.fixed_universe()) == 15
    assert vendors.asked == asked


def test_what_is_not_there_is_refused_with_symbols_days_and_what_to_do(vendors, tmp_path):
    market = live_market(vendors, tmp_path)
    for table in (market.prices, market.sentiment, market.fundamentals, market.macro):
        with pytest.raises(IncompleteDataError, match="is not there") as caught:
            table(2019)
        assert caught.value.source in feeds_of(market.config)
        assert "materialise" in caught.value.todo
        assert "2019-12-31" in caught.value.problem
    with pytest.raises(NotEnoughDataError):
        market.prices(2020)


def test_a_year_does_not_depend_on_later_ones(vendors, fetched, tmp_path):
    market, whole = live_market(vendors, tmp_path), live_market(vendors, fetched)
    fetch(market, YEARS[:1])
    pd.testing.assert_frame_equal(market.prices(2018), whole.prices(2018))
    pd.testing.assert_frame_equal(market.sentiment(2018), whole.sentiment(2018))
    pd.testing.assert_frame_equal(market.fundamentals(2018), whole.fundamentals(2018))
    with pytest.raises(IncompleteDataError, match="2019-01-01 to 2019-12-31"):
        market.prices(2019)
    fetch(market)
    pd.testing.assert_frame_equal(market.prices(2018), whole.prices(2018))
    pd.testing.assert_frame_equal(market.prices(2019), whole.prices(2019))


def test_a_candidate_that_is_added_later_is_all_that_is_asked_for(vendors, fetched, tmp_path):
    more = write_candidates(tmp_path / "more.csv", {**vendors.ciks, "S99": "0000009999"})
    market = live_market(vendors, fetched)
    market = LiveMarket(replace(market.config, candidates=more), market.raw, market.scores)
    asked = vendors.asked
    with pytest.raises(VendorError, match="1 of the symbols of yahoo_bars failed: S99"):
        download_years(market, "yahoo_bars", ["2018", "2019"])
    assert vendors.asked == asked + 1
    with pytest.raises(IncompleteDataError, match="S99 2018-01-01 to 2019-12-31"):
        market.prices(2019)


def test_a_ticker_that_changes_hands_gives_each_company_its_own_days(vendors, tmp_path):
    market = live_market(vendors, tmp_path)
    rows = (tmp_path / "candidates.csv").read_text().replace("S14,1990-01-01,,S14", "S14,1990-01-01,2019-06-28,S14")
    (tmp_path / "candidates.csv").write_text(f"{rows}LATER,2019-09-03,,S14,\n")
    market = LiveMarket(market.config, market.raw, market.scores)
    with pytest.raises(VendorError, match=r"1 of the symbols of yahoo_bars failed: S14.*means another company today"):
        download_years(market, "yahoo_bars", ["2018", "2019"])
    download_years(market, "alpaca_news", ["2018", "2019"])
    bars, news = RawKey("yahoo", "bars", "S14"), market.sentiment(2019)
    assert market.raw.records(bars) == [], "what Yahoo has under the ticker is about the other company"
    assert len(market.raw.records(replace(bars, name="LATER"))) == 1
    assert news.loc[news["symbol"] == "S14", "published_at"].max() < pd.Timestamp("2019-06-29 04:00", tz="UTC")
    assert news.loc[news["symbol"] == "LATER", "published_at"].min() >= pd.Timestamp("2019-09-03 04:00", tz="UTC")
    assert membership_of(market.listings).members(date(2019, 7, 1)) == set(SYMBOLS[:-1])


def test_a_listing_that_begins_later_is_not_asked_for_before(vendors, fetched, tmp_path):
    rows = (fetched / "candidates.csv").read_text().replace("S14,1990-01-01", "S14,2019-03-04")
    later = tmp_path / "later.csv"
    later.write_text(rows)
    market = live_market(vendors, fetched)
    fewer = RawStore(tmp_path / "raw")
    market = LiveMarket(replace(market.config, candidates=later, second_source=False), fewer, market.scores)
    download_years(market, "yahoo_bars", ["2018"])
    assert set(market.prices(2018)["symbol"]) == set(SYMBOLS[:-1])
    assert market.price_doubts(2018).empty
    download_years(market, "yahoo_bars", ["2019"])
    bars = market.prices(2019)
    assert bars.loc[bars["symbol"] == "S14", "date"].min() == pd.Timestamp("2019-03-04")


def test_a_week_later_only_that_week_is_asked_for_and_nothing_known_changes(vendors, tmp_path):
    goes_on = replace(live_market(vendors, tmp_path).config, end=None)

    def on(saturday: str) -> LiveMarket:
        now = pd.Timestamp(f"{saturday} 06:00", tz="America/New_York")
        return LiveMarket(goes_on, RawStore(tmp_path / "raw"), tmp_path / "scores.sqlite", now=now)

    first, second = on("2019-06-08"), on("2019-06-15")
    assert (first.coverage().last_session, second.coverage().last_session) == (date(2019, 6, 7), date(2019, 6, 14))
    fetch(first)
    tables = [first.prices(2019), first.sentiment(2019), first.fundamentals(2019)]
    assert tables[0]["date"].max() == pd.Timestamp("2019-06-07")
    with pytest.raises(IncompleteDataError, match="2019-06-08 to 2019-06-14"):
        second.prices(2019)

    before = [len(one.requests) for one in vendors.servers.values()]
    assert fetch(second) == 4 * 15 + 6
    asked = [one.requests[count:] for one, count in zip(vendors.servers.values(), before, strict=True)]
    news = [one.query["start"] for one in asked[1] if one.path.endswith("news")]
    assert set(news) == {"2019-06-08T04:00:00.000000Z"}
    for old, new, column in zip(
        tables,
        (second.prices(2019), second.sentiment(2019), second.fundamentals(2019)),
        ("date", "published_at", "known_at"),
        strict=True,
    ):
        assert len(new) > len(old) or column == "known_at"
        pd.testing.assert_frame_equal(old, new[new[column] <= old[column].max()].reset_index(drop=True))


def test_coverage_of_raw_data_is_told_by_symbol_and_year(vendors, tmp_path):
    market = live_market(vendors, tmp_path)
    download_years(market, "alpaca_bars", ["2018"])
    shares, tables = raw_coverage(market, "alpaca_bars", ["2018", "2019"], ["2019"])
    assert shares.loc["S00"].tolist() == [1.0, 0.0]
    assert (tables["2019"]["there"] == 0).all()
    assert (tables["2019"]["due"] == 252).all()
    assert raw_coverage(market, "alpaca_news", ["2019"], ["2019"])[1]["2019"]["due"].eq(365).all()


def test_the_market_says_that_alpha_vantage_has_todays_figures(vendors, tmp_path):
    notes = live_market(vendors, tmp_path, fundamentals="alphavantage").coverage().notes
    assert "known from their release date, but as restated since" in notes[0]


def test_too_few_candidates_are_refused_at_once(vendors, tmp_path):
    few = write_candidates(tmp_path / "few.csv", dict(list(vendors.ciks.items())[:14]))
    with pytest.raises(ConfigurationError, match="14 stocks"):
        LiveMarket(LiveConfig(few, start=date(2018, 1, 1)), RawStore(tmp_path), tmp_path / "s.sqlite")
