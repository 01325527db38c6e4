"""The report asset counts what it shows: each report is a try, whoever is promoted afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import BASELINES, CostConfig, Settings
from allocator_pipeline.defs.assets import evaluation
from allocator_pipeline.defs.build import partitions_of
from allocator_pipeline.defs.resources import StoreResource
from allocator_pipeline.defs.training import replicate_name
from allocator_pipeline.evaluation.plots import drawdown_picture, growth_picture, report_table
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.registry import promotion
from allocator_pipeline_tests.evaluation.conftest import CONTEXT, Tilted, year_of_states

YEAR = 2016
STATES = year_of_states(YEAR)
KEY = f"ppo_lstm|{YEAR}"


class Stored(dict):
    """Partitions that are all there."""

    def stored(self) -> list[str]:
        return list(self)


@pytest.fixture
def store(tmp_path):
    return StoreResource(root=str(tmp_path))


@pytest.fixture
def told_to_the_ui():
    """Return what the UI was told last; there is no run to keep it."""
    return {}


@pytest.fixture
def report(store, told_to_the_ui, tmp_path, monkeypatch):
    """Materialise the report on a policy that holds some slots, and return it."""
    monkeypatch.setattr("allocator_pipeline.allocators.scheduled.Scheduled", lambda table: Tilted(tuple(table["slot"])))
    monkeypatch.setattr(evaluation, "stored_policy", lambda store, value: (value["version"], value["policy"]))
    monkeypatch.setattr(
        dg.AssetExecutionContext, "add_asset_metadata", lambda _, told, **__: told_to_the_ui.update(told)
    )
    assets = evaluation.evaluation_assets(partitions_of(Settings(data_dir=tmp_path / "data")))
    asset = next(each for each in assets if each.key == dg.AssetKey("eval_reports"))
    tables = {f"{name}|{YEAR}": pd.DataFrame({"slot": [at, at + 1]}) for at, name in enumerate(BASELINES)}

    def make(slots: tuple[int, ...], seed: int = 42, shown: bool = False) -> dict:
        policy = {
            "policy.safetensors": save({"weights": np.arange(64, dtype=np.float32)}),
            "policy.json": json.dumps({"slots": slots}).encode(),
        }
        identity = Identity("policy", "ppo_lstm", "2015-12-28", {"slots": list(slots), "seed": seed}, "0" * 64)
        artifact = Artifact(identity, policy)
        store.models.save(artifact)
        if shown:
            store.models.save(Artifact(replace(identity, name=replicate_name("ppo_lstm", seed)), policy))
        trained = {"name": "ppo_lstm", "version": artifact.version, "policy": Tilted(slots)}
        context = dg.build_asset_context(partition_key=KEY)
        market = SimpleNamespace(settings=SimpleNamespace(costs=CostConfig()), context=CONTEXT)
        return asset(
            context,
            market=market,
            store=store,
            trained_policies=Stored({f"ppo_lstm|{YEAR - 1}": trained}),
            reference_policies=Stored(),
            state_tensors=Stored({f"lstm|{YEAR}": STATES}),
            baseline_weights=Stored(tables),
        )[KEY]

    return make


def test_two_seeds_reported_and_one_promoted_are_two_tries(store, report):
    seeds = [report((0, 1, 4)), report((2, 3, 5))]
    counted = store.ledger.history()
    assert [entry.candidate for entry in counted] == [seed["candidate"] for seed in seeds]
    assert report((0, 1, 4)) == seeds[0]
    verdict = promotion.promote_from_report(store.court("ppo_lstm"), seeds[0], STATES, CostConfig())
    assert verdict.evidence["badge"]["try"] == 1
    assert store.ledger.history() == counted


def test_the_ui_shows_the_year_alone_beside_the_walk_forward(report, told_to_the_ui):
    made = report((0, 1, 4))
    for section, prefix in (("walk_forward", ""), ("year_only", "year_only_")):
        assert told_to_the_ui[section].value == report_table(made, Tries(1), section)
        assert told_to_the_ui[f"{prefix}growth"].value == growth_picture(made, section)
        assert told_to_the_ui[f"{prefix}drawdown"].value == drawdown_picture(made, section)
    assert sum(len(str(item)) for item in told_to_the_ui.values()) < 60_000  # the event log keeps every report's


def test_a_report_on_a_policy_that_was_shown_as_a_replicate_says_so(store, report):
    assert report((0, 1, 4))["seen_as_replicates"] == []
    assert report((2, 3, 5), seed=7, shown=True)["seen_as_replicates"] == [YEAR]
