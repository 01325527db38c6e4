"""`make check-vendors`: plain words about each vendor, and never a key."""

from __future__ import annotations

import pytest

from allocator_pipeline.cli import vendors as command
from allocator_pipeline.cli.vendors import WHAT, check_vendors
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.vendors.server import Fault, Reply
from allocator_pipeline_tests.vendors.small import made_up
from allocator_pipeline_tests.vendors.together import SECRETS, Vendors, write_candidates


def line_of(lines: list[str], vendor: str) -> str:
    return next(line for line in lines if line.startswith(vendor))


def test_without_keys_it_says_what_is_not_configured():
    with Vendors(made_up(2, [])) as started:
        urls = {name: value for name, value in started.env.items() if name not in SECRETS}
        lines, _ = check_vendors(urls)
    assert len(lines) == len(WHAT)
    assert "Set APCA_API_KEY_ID and APCA_API_SECRET_KEY" in line_of(lines, "alpaca")
    assert all("not configured" in line for line in lines if not line.startswith("yahoo"))


def test_what_the_live_market_needs_and_lacks_is_a_failure(tmp_path):
    env = {
        "ALLOCATOR_MARKET": "live",
        "ALLOCATOR_LIVE_CANDIDATES": str(write_candidates(tmp_path / "c.csv", {"A": "1"})),
        "ALLOCATOR_YAHOO_URL": "http://127.0.0.1:9",
    }
    lines, well = check_vendors(env)
    assert not well
    assert "NEEDED" in line_of(lines, "fred")
    assert "not configured" in line_of(lines, "alphavantage")


@pytest.mark.parametrize("status", [401, 500])
def test_a_refusal_is_told_in_words_without_the_keys(monkeypatch, status):
    from allocator_pipeline.clients import alpaca_data, vendor, yahoo

    quick = Patience(tries=2, wait=0.001, longest_wait=0.01, read=1.0, call=2.0, total=5.0)
    for module in (alpaca_data, vendor, yahoo):
        monkeypatch.setattr(module, "PATIENCE", quick)
    with Vendors(made_up(2, [])) as started:
        for server in started.servers.values():
            echo = " ".join(SECRETS.values()).encode()
            server.faults.append(Fault(reply=Reply(echo, status)))
        lines, well = check_vendors(started.env)
    assert not well
    told = "\n".join(lines)
    assert ("REFUSES" if status == 401 else "FAILS") in told
    for secret in SECRETS.values():
        assert secret not in told


def test_both_hosts_of_the_sec_are_asked():
    with Vendors(made_up(2, [])) as started:
        lines, _ = check_vendors(started.env)
        asked = [one.path for one in started.servers["edgar"].requests]
    assert "works" in line_of(lines, "edgar")
    assert asked == ["/files/company_tickers.json", "/api/xbrl/companyfacts/CIK0000001000.json"]


def test_what_keys_are_forbidden_is_told_in_grammar():
    with Vendors(made_up(2, [])) as started:
        started.servers["alpaca"].faults.append(Fault(reply=Reply(b"{}", 403)))
        lines, _ = check_vendors(started.env)
    assert "does not allow that with the keys" in line_of(lines, "alpaca")


def test_the_command_ends_with_its_verdict(monkeypatch, capsys):
    monkeypatch.setattr(command, "check_vendors", lambda env: (["yahoo works"], True))
    assert command.main() == 0
    assert capsys.readouterr().out == "yahoo works\n"
    monkeypatch.setattr(command, "check_vendors", lambda env: (["yahoo FAILS"], False))
    assert command.main() == 1


def test_settings_that_cannot_be_read_are_told(monkeypatch, capsys):
    monkeypatch.setenv("ALLOCATOR_MARKET", "live")
    assert command.main() == 1
    assert "ALLOCATOR_LIVE_CANDIDATES" in capsys.readouterr().err
