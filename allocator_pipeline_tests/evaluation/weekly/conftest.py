"""The facts of a made-up week: one allocator with everything, one with nothing, one that waits."""

from __future__ import annotations

from typing import Any

import pytest

from allocator_pipeline.config import CASH

WEEKS = ["2019-01-07", "2019-01-14", "2019-01-21"]
HOSTILE = "<img src=x onerror=alert(1)>"


def verdict() -> dict[str, Any]:
    """Return a verdict on a report."""
    badge = {"verdict": "not_proven", "try": 3, "sequence": 1, "position": 3, "proof": None, "against": {}}
    return {
        "number": 2,
        "effective_week": "2019-02-04",
        "source": "report:ppo_lstm|2018",
        "candidate": "v2017-12-26-aaaaaa",
        "champion": "v2017-12-26-aaaaaa",
        "outcome": "promoted",
        "reason": "Better on 52 weeks.",
        "evidence": {"badge": badge},
        "source_sha256": "1" * 64,
        "previous_sha256": "0" * 64,
    }


def whole() -> dict[str, Any]:
    """Return an allocator of which everything is there."""
    badge = verdict()["evidence"]["badge"]
    return {
        "champion": {"version": "v2017-12-26-aaaaaa", "since": "2019-02-04", "badge": badge},
        "champion_before": "v2016-12-27-bbbbbb",
        "decision": {
            "version": "v2017-12-26-aaaaaa",
            "fallback": None,
            "target": {"S01": 0.2, HOSTILE: 0.1, CASH: 0.7},
            "turnover": 0.04,
            "source": "paper",
            "orders_from": "the account's holdings at the closes of the decision",
            "orders": [
                {"symbol": "S02", "side": "SELL", "notional": 1500.0},
                {"symbol": HOSTILE, "side": "BUY", "notional": 4000.0},
            ],
        },
        "result": {
            "status": "labelled",
            "version": "v2016-12-27-bbbbbb",
            "net": 0.0123,
            "turnover": 0.05,
            "account_net": 0.0119,
        },
        "paper": {
            "champion": {"version": "v2016-12-27-bbbbbb", "net": 0.0123, "turnover": 0.05},
            "challenger": {"version": "v2018-11-19-cccccc-ft", "net": 0.0150, "turnover": 0.06},
        },
        "account": {
            "weeks": WEEKS,
            "sessions": ["2019-01-07", "2019-01-14", "2019-01-22", "2019-01-28"],
            "growth": [1.0, 1.02, 1.01, 1.05],
            "nav": 105_000.0,
        },
        "verdicts": [verdict()],
    }


def nothing() -> dict[str, Any]:
    """Return an allocator of which nothing is there."""
    return {
        "champion": None,
        "champion_before": None,
        "decision": None,
        "result": {"status": "not_decided"},
        "paper": None,
        "account": None,
        "verdicts": [],
    }


@pytest.fixture
def facts() -> dict[str, Any]:
    late = {
        **whole(),
        "champion": {"version": "v2016-12-27-dddddd", "since": "2018-01-08", "badge": None},
        "champion_before": "v2016-12-27-dddddd",
        "decision": None,
        "result": {"status": "pending"},
        "paper": None,
        "verdicts": [],
        "account": {"weeks": WEEKS[2:], "sessions": ["2019-01-22", "2019-01-28"], "growth": [1.0, 0.97], "nav": 97e3},
    }
    return {
        "week": "2019-02-04",
        "decision_session": "2019-02-01",
        "known_week": "2019-01-21",
        "market": "made up",
        "simulated": ["news"],
        "notes": ["<b>No survivors.</b>"],
        "execution": "open of the week's first session",
        "allocators": {"sac_lstm": nothing(), "ppo_lstm": whole(), "dpg_lstm": late},
        "rivals": {
            "weeks": WEEKS,
            "sessions": ["2019-01-07", "2019-01-14", "2019-01-22", "2019-01-28"],
            "net": {"equal_weight": [0.01, -0.02, 0.03], "hrp": [0.02, 0.0, 0.01], "momentum": [0.0, 0.0, -0.04]},
            "target": {"equal_weight": {"S01": 0.5, CASH: 0.5}, "momentum": {"S02": 0.5, CASH: 0.5}},
            "absent": {
                "hrp": {"target": "There are no baseline weights of this week."},
                "SPY": {"net": "This market has no prices of SPY."},
            },
        },
        "tries": 47,
        "warnings": ["The check champion_verifies of promoted_policies failed: <i>torn</i>."],
    }
