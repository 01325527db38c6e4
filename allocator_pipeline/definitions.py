"""The code location: everything Dagster loads, for the market that the environment chose."""

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.build import build_definitions

defs = build_definitions(Settings.from_env())
