"""Chains of warm starts: a year's model starts from the year before's, and every few years from nothing.

Where a chain starts depends on the year alone, so that a year fitted by itself has the bytes it has in a whole
back-fill; a chain is short, so that this costs a few fits at most; and chains do not depend on one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import FORECAST_CHAIN_YEARS
from allocator_pipeline.forecasters.models import new_forecaster
from allocator_pipeline.forecasters.walk_forward import ArtifactLike, fit_forecaster, forecaster_identity


def chain_start(name: str, year: int, first_year: int) -> int:
    """Return the year whose cold start leads to a year's model.

    Parameters
    ----------
    name : {"lstm", "patchtst", "ridge"}
        A forecaster that cannot start warm has chains of one year.
    year : int
    first_year : int
        The first year with enough prices before it: what would start earlier starts there.
    """
    return max(first_year, year - year % FORECAST_CHAIN_YEARS) if new_forecaster(name).warm else year


def chain_identities(
    name: str, years: Sequence[int], prices: Mapping[int, pd.DataFrame], **options: Any
) -> dict[int, Identity]:
    """Say what the models of consecutive years are made of, the first from a cold start.

    Parameters
    ----------
    name : {"lstm", "patchtst", "ridge"}
    years : sequence of int
        From the start of a chain.
    prices : mapping of int to DataFrame
        The bars that each year's model may read.
    **options
        Seed, ``has_open``, ``has_volume`` and ``config``, as of `forecaster_identity`.
    """
    found: dict[int, Identity] = {}
    for year in years:
        parent = found.get(year - 1) if new_forecaster(name).warm else None
        found[year] = forecaster_identity(name, year, prices[year], **options, parent=parent)
    return found


def fit_chain(
    name: str,
    years: Sequence[int],
    prices: Mapping[int, pd.DataFrame],
    parent: ArtifactLike | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[Artifact]:
    """Fit the models of consecutive years and yield each when it is done.

    Parameters
    ----------
    name, years, prices, **options
        As `chain_identities`.
    parent : Artifact or tuple of (manifest, files), optional
        The model of the year before the first; without it the first starts cold.
    progress : callable, optional
        Called with one short line an epoch.
    """
    for year in years:
        fitted = fit_forecaster(name, year, prices[year], progress=progress, parent=parent, **options)
        yield fitted
        parent = fitted if new_forecaster(name).warm else None
