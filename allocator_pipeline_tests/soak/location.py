"""The code location of a soak: the shipped definitions, whose steps run in the operator's own process."""

import dagster as dg
from dagster_shared.record import replace

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.build import build_definitions

defs = replace(build_definitions(Settings.from_env()), executor=dg.in_process_executor)
