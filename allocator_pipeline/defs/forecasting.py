"""Forecasters of some years, fitted along their chains; what is stored is not fitted again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pandas as pd

from allocator_pipeline.artifact import Identity
from allocator_pipeline.config import FORECAST_CHAIN_YEARS
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.market.source import MarketCoverage
from allocator_pipeline.registry.artifacts import LoadedArtifact

Stored = tuple[Mapping[str, Any], Mapping[str, bytes]]
"""Manifest and files of a model."""


def fit_years(
    wanted: Mapping[str, tuple[str, int]],
    price_windows: Mapping[str, pd.DataFrame],
    first_year: int,
    coverage: MarketCoverage,
    store: StoreResource,
    processes: int,
    log: Callable[[str], None],
) -> Generator[tuple[str, LoadedArtifact], None, None]:
    """Yield partitions with their models: first what is stored already, then each as soon as it is fitted and stored.

    Chains run in processes of one thread each. Of a chain that was interrupted, only what is missing is fitted.

    Parameters
    ----------
    wanted : mapping
        By partition: forecaster and year.
    price_windows : mapping of str to DataFrame
        By year; each reaches back to what the first model of the year's chain may read. Asked for one at a time.
    first_year : int
        The first year with forecasts.
    coverage : MarketCoverage
    store : StoreResource
    processes : int
    log : callable
        Receives progress.

    Yields
    ------
    tuple of (str, LoadedArtifact)
        Partition and model, read back from the store and verified.
    """
    from allocator_pipeline.forecasters.chains import chain_identities
    from allocator_pipeline.forecasters.workers import ChainTask, fit_in_processes

    options = {"has_open": coverage.has_open, "has_volume": coverage.has_volume}
    latest: dict[int, int] = defaultdict(int)
    for _, year in wanted.values():
        latest[year // FORECAST_CHAIN_YEARS] = max(year, latest[year // FORECAST_CHAIN_YEARS])
    identities: dict[tuple[str, int], Identity] = {}
    parents: dict[str, Stored] = {}
    tasks: list[ChainTask] = []
    for (name, start), years in sorted(_by_chain(wanted, first_year).items()):
        window = str(latest[start // FORECAST_CHAIN_YEARS])  # one table for all forecasters of these years
        chain = range(start, max(years) + 1)
        found = chain_identities(name, chain, dict.fromkeys(chain, price_windows[window]), **options)
        identities |= {(name, year): identity for year, identity in found.items()}
        stored = {year for year in chain if store.models.has(found[year])}
        for year in sorted(years & stored):
            log(f"{name} {found[year].version} is stored already")
        missing = years - stored
        if not missing:
            continue
        before = max((year for year in stored if year < min(missing)), default=None)
        parent = None if before is None else found[before].version
        if parent is not None:
            loaded = store.models.load(name, parent)
            parents[parent] = (loaded.manifest, loaded.files)
        todo = tuple(range(start if before is None else before + 1, max(missing) + 1))
        tasks.append(ChainTask(name, todo, window, parent, **options))
    partitions = {(name, identities[name, year].version): key for key, (name, year) in wanted.items()}
    for name, version in [model for model, key in partitions.items() if store.models.has(identities[wanted[key]])]:
        yield partitions.pop((name, version)), store.models.load(name, version)
    for artifact in fit_in_processes(tasks, price_windows, parents, processes, log):
        store.models.save(artifact)
        log(f"stored {artifact.name} {artifact.version}")
        if (artifact.name, artifact.version) in partitions:
            yield partitions.pop((artifact.name, artifact.version)), store.models.load(artifact.name, artifact.version)


def _by_chain(wanted: Mapping[str, tuple[str, int]], first_year: int) -> dict[tuple[str, int], set[int]]:
    """Return the years wanted of each chain, by forecaster and the year that it starts in."""
    from allocator_pipeline.forecasters.chains import chain_start

    chains: dict[tuple[str, int], set[int]] = defaultdict(set)
    for name, year in wanted.values():
        chains[name, chain_start(name, year, first_year)].add(year)
    return chains
