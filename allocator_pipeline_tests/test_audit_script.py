"""`make audit` fails on what is vulnerable and on what it could not look up; a waiver has a reason and a last day."""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
TODAY = date(2027, 1, 15)
FINE = {"name": "numpy", "version": "2.4.6", "vulns": []}
BAD = {
    "name": "six",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["GHSA-1"], "fix_versions": ["1.1"], "description": ""}],
}
UNREACHED = {"name": "torch", "skip_reason": "could not be audited"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    specification = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "waived", "code"),
    [
        ([FINE], {}, "CLEAN"),
        ([FINE, BAD], {}, "VULNERABLE"),
        ([FINE, BAD], {"GHSA-1": "not called"}, "CLEAN"),
        ([FINE, UNREACHED], {}, "UNKNOWN"),
        ([BAD, UNREACHED], {}, "VULNERABLE"),
        ([], {}, "UNKNOWN"),
    ],
)
def test_verdicts(audit, packages, waived, code):
    assert audit.judge(packages, waived)[0] == getattr(audit, code)


def test_the_lines_name_package_advisory_and_fix(audit):
    lines = audit.judge([BAD], {})[1]
    assert "VULNERABLE  six 1.0: PYSEC-1, fixed in 1.1" in lines


def test_a_waiver_without_use_is_pointed_out(audit):
    assert any("no longer needed" in line for line in audit.judge([FINE], {"GHSA-1": "not called"})[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[waiver]]\nid = "A"\nuntil = 2027-06-30', "needs an id, a reason"),
        ('[[waiver]]\nid = "A"\nreason = "r"', "needs an id, a reason"),
        ('[[waiver]]\nid = "A"\nreason = "r"\nuntil = 2027-01-14', "ended on 2027-01-14"),
    ],
)
def test_a_waiver_needs_a_reason_and_a_day_to_come(audit, text, message):
    with pytest.raises(ValueError, match=message):
        audit.waivers(text, TODAY)


def test_the_shipped_waivers_can_be_read(audit):
    assert isinstance(audit.waivers((ROOT / "audit-waivers.toml").read_text(), date(2026, 1, 1)), dict)
