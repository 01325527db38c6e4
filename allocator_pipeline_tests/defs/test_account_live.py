"""The paper account on the live market: dividends and splits one by one, as Yahoo tells them."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from allocator_pipeline.config import CASH, AccountConfig
from allocator_pipeline.defs.account import account_week
from allocator_pipeline.defs.resources import MarketResource, StoreResource
from allocator_pipeline_tests.account.market import ALLOCATOR, make_decision
from allocator_pipeline_tests.vendors.small import SYMBOLS, YEARS, fetch, live_settings, made_up
from allocator_pipeline_tests.vendors.together import Vendors

WEEK = "2018-03-12"
SPLIT, DIVIDEND = "S01", "S02"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """Return the settings of a market with a split and a dividend in one week, and what Yahoo says of them."""
    folder = tmp_path_factory.mktemp("live")
    truth = made_up(3, [(1, 49, "split"), (2, 50, "dividend"), (3, 0, "dividend")])
    with Vendors(truth) as vendors, pytest.MonkeyPatch.context() as patched:
        for name, value in vendors.env.items():
            patched.setenv(name, value)
        settings = live_settings(vendors, folder)
        fetch(MarketResource.of(settings).live_market)
    return settings, truth.actions


def booked(fetched, folder, account: AccountConfig) -> dict:
    market = MarketResource.of(replace(fetched[0], account=account))
    store = StoreResource(root=str(folder))
    for year in YEARS:
        store.assets.write("prices", str(year), market.source.prices(year))
    target = {**dict.fromkeys(SYMBOLS, 0.06), CASH: 0.1}
    decision = make_decision(WEEK, target, {"source": "cash", "holdings": {CASH: 1.0}})
    store.experience.record_decision(decision)
    return account_week(f"{ALLOCATOR}|{WEEK}", decision.run_id, store, market)["booking"]


def test_dividends_and_splits_are_told_by_year_as_the_adjusted_prices_have_them(fetched):
    source, told = MarketResource.of(fetched[0]).live_market, fetched[1]
    table = source.corporate_actions(2018)
    assert table[["symbol", "kind", "value"]].to_numpy().tolist() == [
        [SPLIT, "split", 2.0],
        [DIVIDEND, "dividend", 0.25],
    ]
    assert table["date"].tolist() == told["date"].tolist()[:2]  # before the first bar nobody held a share
    assert source.corporate_actions(2019).empty


def test_what_has_not_been_downloaded_yet_does_not_hold_up_what_has(fetched, tmp_path):
    settings = replace(fetched[0], live=replace(fetched[0].live, end=None))
    longer, whole = MarketResource.of(settings).live_market, MarketResource.of(fetched[0]).live_market
    assert longer.last > whole.last
    pd.testing.assert_frame_equal(longer.corporate_actions(2018), whole.corporate_actions(2018))
    nothing = MarketResource.of(replace(fetched[0], data_dir=tmp_path)).live_market
    assert nothing.corporate_actions(2018).empty


@pytest.mark.parametrize("account", [AccountConfig(), AccountConfig(reinvest=False), AccountConfig(whole_shares=True)])
def test_dividends_and_splits_are_booked_one_by_one(fetched, tmp_path, account):
    booking = booked(fetched, tmp_path, account)
    events = {event["kind"]: event for event in booking["events"]}
    assert booking["dividends"] == ("reinvested" if account.reinvest else "cash")
    bought = {fill["symbol"]: fill["filled_qty"] for fill in booking["execution_report"]}
    assert events["split"]["shares"] == {SPLIT: pytest.approx(bought[SPLIT])}
    paid, again = events["dividend"]["cash"], events["dividend"]["shares"]
    if account.reinvest:
        assert (paid, set(again)) == (0.0, {DIVIDEND})
    else:
        assert (paid, again) == (pytest.approx(0.25 * bought[DIVIDEND]), {})
    assert abs(booking["reconciliation_error"]) < 1e-9
