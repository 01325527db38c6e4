"""Downloads that are killed or refused: what was kept stays whole, the rest comes once, and no key stays behind."""

from __future__ import annotations

import gzip
import logging
import os
import signal
import subprocess
import sys
from base64 import b64encode
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest

from allocator_pipeline.clients import alpaca_data, vendor, yahoo
from allocator_pipeline.defs.assets import live as live_assets
from allocator_pipeline.defs.build import build_definitions
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.defs.runner import Task, run_task
from allocator_pipeline.errors import AllocatorError
from allocator_pipeline.ingestion.asking import asking, open_client
from allocator_pipeline.ingestion.download import download
from allocator_pipeline.market.live.needs import FEEDS
from allocator_pipeline.market.raw import RawKey
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.faults import CASES, Case
from allocator_pipeline_tests.vendors.server import Fault, Reply, wait_until
from allocator_pipeline_tests.vendors.small import YEARS, fetch, live_market, live_settings, made_up
from allocator_pipeline_tests.vendors.together import SECRETS, Vendors

ROOT = Path(__file__).parents[2]
KILLS = (3, 20, 40, 70)
"""Killed after so many requests, one time after the other in the same folder."""

FETCHING = """
from allocator_pipeline.config import Settings
from allocator_pipeline.defs.downloads import download_years
from allocator_pipeline.market.live.needs import feeds_of
from allocator_pipeline.market.sources import open_live
market = open_live(Settings.from_env())
for feed in feeds_of(market.config):
    download_years(market, feed, ["2018", "2019"])
"""

ECHO = " ".join(SECRETS.values()).encode()
"""What a vendor may send back: everything that it was told."""

QUICK = Patience(tries=2, wait=0.001, longest_wait=0.01, connect=1.0, read=0.1, call=0.2, total=3.0, max_bytes=2**21)


@pytest.fixture(scope="module")
def vendors():
    with Vendors(made_up(5, [(0, 100, "split"), (1, 200, "dividend")])) as started:
        yield started


@pytest.fixture(autouse=True)
def environment(vendors, monkeypatch):
    for name, value in vendors.env.items():
        monkeypatch.setenv(name, value)


def test_a_download_that_is_killed_again_and_again_ends_as_the_undisturbed_one(vendors, tmp_path):
    whole = live_market(vendors, tmp_path / "whole")
    needed = fetch(whole)
    settings = live_settings(vendors, tmp_path / "killed")
    assert settings.live is not None
    env = {
        **os.environ,
        "ALLOCATOR_MARKET": "live",
        "ALLOCATOR_DATA_DIR": str(settings.data_dir),
        "ALLOCATOR_LIVE_CANDIDATES": str(settings.live.candidates),
        "ALLOCATOR_LIVE_START": str(settings.live.start),
        "ALLOCATOR_LIVE_END": str(settings.live.end),
        "PYTHONPATH": str(ROOT),
    }
    killed, before = live_market(vendors, tmp_path / "killed"), vendors.asked
    for count in KILLS:
        process = subprocess.Popen([sys.executable, "-c", FETCHING], env=env, stderr=subprocess.DEVNULL)
        wait_until(lambda: vendors.asked - before >= count or process.poll() is not None, 120)  # noqa: B023
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        for feed, kind in (("yahoo", "bars"), ("alpaca", "bars"), ("alpaca", "news"), ("edgar", "facts")):
            for symbol in killed.raw.names(feed, kind):
                for record in killed.raw.records(RawKey(feed, kind, symbol)):
                    killed.raw.read(record)
    subprocess.run([sys.executable, "-c", FETCHING], env=env, check=True)

    assert vendors.asked - before <= needed + len(KILLS), "a kill loses the answer under way, and no other"
    for year in YEARS:
        pd.testing.assert_frame_equal(killed.prices(year), whole.prices(year))
        pd.testing.assert_frame_equal(killed.fundamentals(year), whole.fundamentals(year))
        pd.testing.assert_frame_equal(killed.sentiment(year), whole.sentiment(year))


@pytest.fixture
def quick(monkeypatch):
    for module in (alpaca_data, vendor, yahoo):
        monkeypatch.setattr(module, "PATIENCE", QUICK)


def secrets_below(folder: Path) -> list[str]:
    """Return where a secret is found, in any of the forms in which it may travel."""
    forms = {
        form.encode()
        for value in SECRETS.values()
        for form in (value, quote(value, safe=""), b64encode(value.encode()).decode())
    }
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            content += gzip.decompress(content) if path.suffix == ".gz" else b""
            found += [str(path) for form in forms if form in content]
    return found


def test_no_fault_of_any_vendor_stores_anything_or_leaves_a_key_behind(vendors, tmp_path, quick):
    market = live_market(vendors, tmp_path)
    log = logging.FileHandler(tmp_path / "everything.log")
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    cases = [*CASES, *(_echo(status) for status in (200, 400, 401, 403, 404, 429, 500))]
    told = []
    try:
        for feed, name in FEEDS.items():
            needs = market.needs(feed, market.first, market.last)[:1]
            for case in cases:
                if isinstance(case, Case) and case.answer_of == name:
                    continue
                fault = case if isinstance(case, Fault) else case.fault()
                vendors.servers[name].faults[:] = [fault]
                ask = partial(asking, feed, open_client(name), market)
                with pytest.raises(AllocatorError) as caught:
                    download(feed, needs, market.raw, ask, root.debug)
                told.append(f"{caught.value!s} {caught.value!r}")
    finally:
        root.removeHandler(log)
        root.setLevel(level)
        log.close()
        for server in vendors.servers.values():
            server.faults.clear()
    (tmp_path / "errors.txt").write_text("\n".join(told))
    assert len(told) == len(FEEDS) * len(cases) - 1 > 200
    assert list(market.raw.root.rglob("*.json")) == []
    assert secrets_below(tmp_path) == []


@pytest.mark.parametrize("status", [200, 401, 500])
def test_runs_that_fail_leave_no_key_in_databases_logs_or_artefacts(vendors, tmp_path, quick, monkeypatch, status):
    monkeypatch.setattr(live_assets, "RETRY", None)
    settings = live_settings(vendors, tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    dagster_home(settings)
    definitions = build_definitions(settings)
    for feed in ("alpaca_news", "edgar_facts", "fred_series"):
        vendors.servers[FEEDS[feed]].faults[:] = [_echo(status)]
        try:
            with pytest.raises(AllocatorError, match="failed in"):
                run_task(Task("test", (feed,), "2018", "2019"), settings, definitions)
        finally:
            vendors.servers[FEEDS[feed]].faults.clear()
    assert any((tmp_path / "home").rglob("*.db")), "there is a database to look into"
    assert secrets_below(tmp_path) == []


def test_a_canary_is_found_where_there_is_one(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.gz").write_bytes(gzip.compress(ECHO))
    (tmp_path / "y.log").write_text(quote(SECRETS["APCA_API_SECRET_KEY"], safe=""))
    assert {Path(path).name for path in secrets_below(tmp_path)} == {"x.gz", "y.log"}


def _echo(status: int) -> Fault:
    return Fault(reply=Reply(b'{"message": "' + ECHO + b'"}', status))
