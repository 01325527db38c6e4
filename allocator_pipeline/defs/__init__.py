"""Dagster definitions: the only place that imports dagster."""

import warnings

import dagster as dg

# Pools and mappings between one and two dimensions are marked beta, checks by partition preview; requirements.txt
# pins the version they were tried on.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
