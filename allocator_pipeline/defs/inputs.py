"""From lazy partitions to what the use cases take."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from allocator_pipeline.config import forecaster_of
from allocator_pipeline.defs.storage import Partitioned
from allocator_pipeline.portfolio.state import StateTensors, concatenate


def states_of_years(state_tensors: Partitioned, allocator: str, years: Iterable[int]) -> StateTensors:
    """Join the state tensors of an allocator's forecaster over some years.

    Raises
    ------
    MissingPartitionError
        Naming the first year that is not stored.
    """
    forecaster = forecaster_of(allocator)
    return concatenate([state_tensors[f"{forecaster}|{year}"] for year in years])


def states_around(state_tensors: Partitioned, allocator: str, week: str) -> StateTensors:
    """Join the stored state tensors that a week maps to; the year of the week itself must be stored.

    Raises
    ------
    MissingPartitionError
        If the week's own year is not stored.
    """
    forecaster = forecaster_of(allocator)
    own = f"{forecaster}|{pd.Timestamp(week).year}"
    keys = sorted({own, *(key for key in state_tensors.stored() if key.startswith(f"{forecaster}|"))})
    return concatenate([state_tensors[key] for key in keys])
