"""The documents point at things that exist and name every setting and command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from allocator_pipeline.evaluation.comparison_words import pair_words
from allocator_pipeline.hub.settings import REPO_VARIABLES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (document.parent / target).exists(), target


def test_the_readme_names_every_setting():
    sources = "".join(path.read_text() for path in (ROOT / "allocator_pipeline").rglob("*.py"))
    known = set(re.findall(r'"(ALLOCATOR_[A-Z_]+)"', sources))
    text = (ROOT / "README.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| `ALLOCATOR_SIMULATED"))
    named = set(re.findall(r"ALLOCATOR_[A-Z_]+", text)) | {
        f"ALLOCATOR_SIMULATED{s}" for s in re.findall(r"`(_[A-Z]+)`", row)
    }
    assert named == known
    assert {*REPO_VARIABLES.values(), *re.findall(r'env\.get\("((?:HF|STORAGE)_[A-Z_]+)"', sources)} <= set(
        re.findall(r"`([A-Z_]+)`", text)
    )


def test_the_documents_name_only_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(r"(?:^    |`)make ([a-z-]+)", document.read_text(), flags=re.MULTILINE)
        assert set(named) <= targets, document


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_version_to_be_typed_says_that_it_is_an_example(document):
    """Versions hash what they are made of: nobody who follows a document has those of another machine."""
    typed = re.findall(r"^    (?:.*config:|make registry).*$", document.read_text(), flags=re.MULTILINE)
    named = [version for line in typed for version in re.findall(r"\bv\d{4}-\d{2}-\d{2}-\w+", line)]
    assert [version for version in named if not version.endswith("-example")] == []


def test_the_sentence_that_is_quoted_is_what_a_pair_says():
    row = {
        "baseline": "hrp",
        "verdict": "same",
        "bootstrap": {"estimate": -0.02, "low": -0.30, "high": 0.20},
        "ledoit_wolf": {"p_value": 0.81},
        "deflated": {"probability": 0.01, "trials": 48},
    }
    text = " ".join((ROOT / "docs" / "evaluation-summary.md").read_text().split())
    assert f'"{pair_words(row, 416, 48)}"' in text
