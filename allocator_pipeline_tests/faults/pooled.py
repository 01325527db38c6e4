"""A code location with one step in a pool of one slot."""

import dagster as dg


@dg.op(pool="promotion")
def step() -> None:
    """Nothing, in the pool."""


@dg.job(executor_def=dg.in_process_executor)
def pooled_job() -> None:
    step()


defs = dg.Definitions(jobs=[pooled_job])
