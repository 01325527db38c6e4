"""What a recipe learns, as the study has measured it: a fast training that learns nothing does not count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allocator_pipeline.allocators.recipes import RECIPES, recipe_values
from allocator_pipeline.atomic import canonical_json, sha256

TARGETS: Mapping[str, float] = {"ppo": 0.88, "sac": 0.85, "dpg": 0.88}
"""Least median share of the oracle's excess Sharpe ratio, out of sample, at a weekly IC of ``IC``."""

IC = 0.10

NOT_MEASURED = "capture of this recipe not measured here: run make learnability"


def capture_facts(algorithm: str, recipe: str, results: Path) -> dict[str, Any]:
    """Return what a row of training speed says about its recipe.

    Parameters
    ----------
    algorithm : {"ppo", "sac", "dpg"}
    recipe : str
    results : Path
        ``results`` of the data folder, where the study leaves ``learnability.json``.

    Returns
    -------
    dict
        ``recipe``; ``captured``, the least of the medians of the algorithm's allocators, or None; ``capture``, the same
        in words; and ``counts``, whether it reaches the target (None if not measured).
    """
    captured = _captured(algorithm, recipe, results / "learnability.json")
    facts: dict[str, Any] = {"recipe": f"{algorithm}/{recipe}", "captured": captured}
    if captured is None:
        return facts | {"capture": NOT_MEASURED, "counts": None}
    counts = captured >= TARGETS[algorithm]
    verdict = "" if counts else f", below the target of {TARGETS[algorithm]:.2f}: this row does not count"
    return facts | {"capture": f"captured {captured:.2f} (make learnability){verdict}", "counts": counts}


def _captured(algorithm: str, recipe: str, study: Path) -> float | None:
    if not study.exists():
        return None
    values = sha256(canonical_json(recipe_values(RECIPES[algorithm, recipe])))
    medians = [
        float(row["captured_median"])
        for row in json.loads(study.read_bytes())
        if row["allocator"].split("_")[0] == algorithm
        and row["recipe"] == recipe
        and abs(float(row["ic"]) - IC) < 1e-9
        and row["captured_median"] is not None
        and row.get("recipe_sha256") == values  # a study of other numbers under the same name says nothing
    ]
    return min(medians, default=None)
