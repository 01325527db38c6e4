"""How often each scorer tells what people said of the same sentences.

``python -m allocator_pipeline.studies.sentiment_accuracy FILE`` (``make sentiment-accuracy FILE=...``) reads a table
(parquet or CSV) with the columns ``text`` and ``label`` (positive, neutral, negative) and, if it is there, ``dataset``.
It prints for each scorer and dataset how many labels it meets, the mean share of the three labels met (balanced
accuracy), and whether the scores rank positive above negative sentences (area under the ROC curve); then what was
called what. FinBERT is measured where ``ALLOCATOR_FINBERT`` names its weights.

VADER calls a text positive from +0.05 and negative from -0.05, as its authors do with their compound score; the score
that the signal uses, share of positive words minus share of negative ones, is held to the same limits. FinBERT calls it
what it finds most likely.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from allocator_pipeline.errors import ConfigurationError, MarketDataError
from allocator_pipeline.market.news import vader_compounds, vader_scores
from allocator_pipeline.market.plain_text import plain_text
from allocator_pipeline.market.scoring.finbert import LABELS, FinBert
from allocator_pipeline.studies.tables import markdown, number

LIMIT = 0.05
ALL = "all"


class Judged(NamedTuple):
    """What a scorer says of some texts: scores, and labels as columns of `LABELS`."""

    scores: np.ndarray
    labels: np.ndarray


def by_limits(scores: np.ndarray) -> Judged:
    """Call scores from +0.05 positive and from -0.05 negative."""
    return Judged(scores, np.select([scores >= LIMIT, scores <= -LIMIT], [0, 2], 1))


def by_finbert(texts: Sequence[str]) -> Judged:
    """Call texts what FinBERT finds most likely.

    Raises
    ------
    ConfigurationError
        If there are no weights.
    """
    shares = FinBert(os.environ["ALLOCATOR_FINBERT"]).probabilities(texts)
    return Judged(shares[:, 0] - shares[:, 2], shares.argmax(axis=1))


def always_neutral(texts: Sequence[str]) -> Judged:
    """Know nothing: what any scorer has to beat."""
    return by_limits(np.zeros(len(texts)))


SCORERS: dict[str, Callable[[Sequence[str]], Judged]] = {
    "Always neutral": always_neutral,
    "VADER, positive - negative": lambda texts: by_limits(vader_scores(texts)),
    "VADER, compound": lambda texts: by_limits(vader_compounds(texts)),
    "FinBERT": by_finbert,
}


def confusion(truth: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Count texts by true label (rows) and what they were called (columns), shape (3, 3), in the order of `LABELS`."""
    return np.bincount(truth * 3 + called, minlength=9).reshape(3, 3)


def separation(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the probability that a positive text has the higher score than a negative one, ties counting half.

    The area under the ROC curve, from ranks (Mann and Whitney 1947); None without texts of both kinds.
    """
    some = truth != 1
    ranks, above = rankdata(scores[some]), truth[some] == 0
    n, m = int(above.sum()), int((~above).sum())
    return float((ranks[above].sum() - n * (n + 1) / 2) / (n * m)) if n and m else None


def record(scorer: str, dataset: str, truth: np.ndarray, judged: Judged) -> dict[str, Any]:
    """Return one row of the result; ``met`` is the share of each label that was met, NaN where there is none."""
    counts = confusion(truth, judged.labels)
    totals = counts.sum(axis=1)
    met = np.divide(np.diag(counts), totals, out=np.full(3, np.nan), where=totals > 0)
    return {
        "scorer": scorer,
        "dataset": dataset,
        "texts": int(totals.sum()),
        "accuracy": float(np.trace(counts) / totals.sum()),
        "balanced": float(np.nanmean(met)),
        "separation": separation(truth, judged.scores),
        "met": met,
        "confusion": counts,
    }


def read_labelled(path: Path) -> pd.DataFrame:
    """Read a labelled table.

    Returns
    -------
    DataFrame
        ``text`` (as the live market would score it), ``truth`` (column of `LABELS`), ``dataset``.

    Raises
    ------
    MarketDataError
        If it cannot be read or lacks a column, or a row lacks a value or has another label; it names file, row and
        column.
    """
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise MarketDataError(
            f"The labelled table cannot be read ({type(error).__name__}).",
            todo="give a parquet or CSV file with the columns text and label.",
            source=str(path),
        ) from error
    problem = _problem(table)
    if problem is not None:
        raise MarketDataError(
            f"{problem}.", todo=f"give each row a text and label it {', '.join(LABELS)}.", source=str(path)
        )
    labels = _labels(table)
    return pd.DataFrame(
        {
            "text": table["text"].astype("str").map(plain_text),
            "truth": labels.map(LABELS.index).astype("int64"),
            "dataset": table["dataset"].astype("str") if "dataset" in table else ALL,
        }
    )


def _problem(table: pd.DataFrame) -> str | None:
    """Return what is wrong with a labelled table, in words: rows count from 1, without the header."""
    if missing := {"text", "label"} - set(table.columns):
        return f"It lacks the column {', '.join(sorted(missing))}"
    if table.empty:
        return "It has no rows"
    for name in table.columns.intersection(["text", "label", "dataset"]):
        empty = np.flatnonzero(table[name].isna())
        if len(empty):
            return f"Row {empty[0] + 1} has nothing in the column {name}"
    labels = _labels(table)
    other = np.flatnonzero(~labels.isin(LABELS))
    return f"Row {other[0] + 1} has {labels.iloc[other[0]][:30]!r} in the column label" if len(other) else None


def _labels(table: pd.DataFrame) -> pd.Series:
    return table["label"].astype("str").str.strip().str.lower()


def measured(table: pd.DataFrame, judge: Callable[[Sequence[str]], Judged], scorer: str) -> list[dict[str, Any]]:
    """Return the records of a scorer: each dataset, then all of them."""
    judged, truth = judge(table["text"].tolist()), table["truth"].to_numpy()
    parts = {str(name): (table["dataset"] == name).to_numpy() for name in table["dataset"].unique()}
    parts[ALL] = np.ones(len(table), dtype=bool)
    return [
        record(scorer, name, truth[here], Judged(judged.scores[here], judged.labels[here]))
        for name, here in parts.items()
    ]


def report(records: Sequence[dict[str, Any]], missing: Sequence[str]) -> str:
    """Return the tables in Markdown; what is missing is named and not measured."""
    absent = [dict.fromkeys(("accuracy", "balanced", "separation")) | {"scorer": name} for name in missing]
    summary = markdown(
        [*records, *absent],
        {
            "scorer": itemgetter("scorer"),
            "dataset": lambda row: row.get("dataset", "not measured"),
            "texts": lambda row: f"{row['texts']:,}" if "texts" in row else "-",
            "accuracy": lambda row: number(row["accuracy"], 3),
            "balanced accuracy": lambda row: number(row["balanced"], 3),
            "positive above negative": lambda row: number(row["separation"], 3),
        },
    )
    calls = [
        {"scorer": row["scorer"], "dataset": row["dataset"], "label": label, "counts": row["confusion"][place]}
        for row in records
        for place, label in enumerate(LABELS)
    ]
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "scorer": itemgetter("scorer"),
        "dataset": itemgetter("dataset"),
        "label": itemgetter("label"),
    }
    for place, label in enumerate(LABELS):
        columns[f"called {label}"] = lambda row, place=place: f"{row['counts'][place]:,}"  # type: ignore[misc]
    return f"{summary}\n\n{markdown(calls, columns)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what each scorer is worth on a labelled table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="table with the columns text and label, and perhaps dataset")
    path = parser.parse_args(arguments).file
    try:
        table = read_labelled(path)
        records, missing = [], []
        for name, judge in SCORERS.items():
            if name == "FinBERT" and not os.environ.get("ALLOCATOR_FINBERT"):
                missing.append(name)
                continue
            records += measured(table, judge, name)
    except (MarketDataError, ConfigurationError) as error:
        parser.exit(2, f"{error}\n")
    print(report(records, missing))


if __name__ == "__main__":
    main()
