"""What scorers are worth on a labelled table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.market.scoring.finbert import LABELS
from allocator_pipeline.studies.sentiment_accuracy import Judged, by_limits, confusion, main, record, separation
from allocator_pipeline_tests.market.scoring.tiny_bert import save_tiny_bert

ROWS = [
    ("Great profit, excellent growth", "positive", "one"),
    ("Terrible loss and fraud", "negative", "one"),
    ("The firm met on Monday", "neutral", "one"),
    ("A good day", "negative", "two"),
    ("Bonds &amp; stocks", " Neutral ", "two"),
]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.delenv("ALLOCATOR_FINBERT", raising=False)
    path = tmp_path / "labelled.parquet"
    pd.DataFrame(ROWS, columns=["text", "label", "dataset"]).to_parquet(path)
    return path


def rows(text: str) -> dict[tuple[str, str], list[str]]:
    """Read the first of the tables."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n\n")[0].splitlines()[2:]]
    return {(line[0], line[1]): line[2:] for line in lines}


def test_scores_are_called_by_limits():
    called = by_limits(np.array([-1, -0.05, -0.049, 0, 0.049, 0.05, 1])).labels
    assert [LABELS[column] for column in called] == ["negative"] * 2 + ["neutral"] * 3 + ["positive"] * 2


def test_counts_and_shares():
    truth, called = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2])
    assert confusion(truth, called).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    row = record("x", "all", truth, Judged(np.zeros(6), called))
    assert row["accuracy"] == pytest.approx(4 / 6)
    assert row["balanced"] == pytest.approx((1 / 2 + 1 + 2 / 3) / 3)
    assert row["separation"] == 0.5


def test_a_label_that_is_not_there_is_left_out_of_the_mean():
    row = record("x", "all", np.array([0, 0]), Judged(np.ones(2), np.array([0, 1])))
    assert row["balanced"] == 0.5
    assert row["separation"] is None


def test_separation_counts_pairs():
    generator = np.random.default_rng(0)
    truth, scores = generator.integers(0, 3, 200), generator.integers(-3, 4, 200) / 3
    above = [np.sign(a - b) / 2 + 0.5 for a in scores[truth == 0] for b in scores[truth == 2]]
    assert separation(truth, scores) == pytest.approx(np.mean(above), abs=1e-12)


def test_the_command_prints_each_scorer_and_dataset(file, capsys):
    main([str(file)])
    found = rows(capsys.readouterr().out)
    assert found["VADER, positive - negative", "one"][:3] == ["3", "1.000", "1.000"]
    assert found["VADER, positive - negative", "two"][:3] == ["2", "0.500", "0.500"]
    assert found["VADER, compound", "all"][:2] == ["5", "0.800"]
    assert found["Always neutral", "all"][:3] == ["5", "0.400", "0.333"]
    assert found["FinBERT", "not measured"] == ["-"] * 4


def test_a_table_without_datasets_is_one(file, capsys):
    path = file.with_suffix(".csv")
    pd.DataFrame(ROWS, columns=["text", "label", "dataset"]).drop(columns="dataset").to_csv(path, index=False)
    main([str(path)])
    assert [key for key in rows(capsys.readouterr().out) if key[0] == "VADER, compound"] == [("VADER, compound", "all")]


def test_finbert_is_measured_where_its_weights_are(file, tmp_path, capsys, monkeypatch):
    pytest.importorskip("transformers", reason="FinBERT needs the extra finbert")
    monkeypatch.setenv("ALLOCATOR_FINBERT", str(save_tiny_bert(tmp_path / "model")))
    main([str(file)])
    found = rows(capsys.readouterr().out)
    assert found["FinBERT", "all"][0] == "5"
    assert ("FinBERT", "not measured") not in found


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame({"text": ["up"]}), "lacks the column label"),
        (pd.DataFrame({"text": ["up"], "label": ["bullish"]}), "Row 1 has 'bullish' in the column label"),
        (pd.DataFrame({"text": ["up"], "label": [None]}), "Row 1 has nothing in the column label"),
        (pd.DataFrame({"text": ["up", None], "label": ["positive"] * 2}), "Row 2 has nothing in the column text"),
        (
            pd.DataFrame({"text": ["up", "down"], "label": ["positive"] * 2, "dataset": ["one", None]}),
            "Row 2 has nothing in the column dataset",
        ),
        (pd.DataFrame({"text": [], "label": []}), "no rows"),
    ],
)
def test_another_table_is_refused_in_words(tmp_path, capsys, table, said):
    parquet, csv = tmp_path / "labelled.parquet", tmp_path / "labelled.csv"
    table.to_parquet(parquet)
    table.to_csv(csv, index=False)
    for path in (parquet, csv):
        with pytest.raises(SystemExit) as caught:
            main([str(path)])
        assert caught.value.code == 2
        told = capsys.readouterr().err
        assert said in told
        assert str(path) in told


def test_no_file_is_refused_in_words(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none.parquet")])
    assert "cannot be read" in capsys.readouterr().err
