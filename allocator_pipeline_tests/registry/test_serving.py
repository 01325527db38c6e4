"""Real networks through the whole room: stored, judged by a real report, promoted, served, recorded and labelled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load, save

from allocator_pipeline.allocators.policy import NETWORK_FILE, Policy, network_of
from allocator_pipeline.allocators.recipes import recipe
from allocator_pipeline.artifact import Artifact, Identity
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.evaluation.walk_forward import eval_report
from allocator_pipeline.experience.labeling import label_week
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.inference import decide, decision_record, paper_portfolio
from allocator_pipeline.portfolio.rollout import simulate
from allocator_pipeline.portfolio.scaler import StateScaler
from allocator_pipeline.portfolio.state import StateTensors, concatenate
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.court import Court
from allocator_pipeline.registry.inputs import InputStore
from allocator_pipeline.registry.ledger import EvidenceLedger
from allocator_pipeline.registry.promotion import champion_for, policy_of, promote_from_report
from allocator_pipeline.registry.replay import replay
from allocator_pipeline.registry.verdicts import VerdictLog
from allocator_pipeline_tests.evaluation.conftest import CONTEXT, Tilted, year_of_states

COSTS = CostConfig()
STATES: StateTensors = concatenate([year_of_states(year) for year in (2016, 2017)])
CUTOFFS = {2015: "2015-12-28", 2016: "2016-12-27"}


def make_policy(seed: int) -> Artifact:
    """Return an untrained network as an artefact."""
    generator = torch.Generator().manual_seed(seed)
    chosen = recipe("ppo", "default")
    network = network_of(chosen)
    for parameter in network.state_dict().values():  # far enough from zero that the answers differ
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    scaler = StateScaler.fit(STATES[:52])
    policy = Policy(chosen, COSTS, scaler, tuple(STATES.symbols[0].tolist()), network)
    cutoff = CUTOFFS[2015 + seed]
    return Artifact(Identity("policy", "ppo_lstm", cutoff, {"seed": seed}, "0" * 64), policy.to_files())


@pytest.fixture(scope="module")
def models() -> list[Artifact]:
    return [make_policy(0), make_policy(1)]


def test_from_artefact_to_label(tmp_path: Path, models: list[Artifact]) -> None:
    artifacts, log = ArtifactStore(tmp_path / "models"), VerdictLog(tmp_path / "verdicts", "ppo_lstm")
    court = Court(log, artifacts, EvidenceLedger(tmp_path, draws=4_000), InputStore(tmp_path / "inputs"))
    for model in models:
        artifacts.save(model)
    policies = {
        2015 + number: (model.version, policy_of(artifacts.load(model.name, model.version)))
        for number, model in enumerate(models)
    }
    baselines = {"equal_weight": Tilted((0,)), "hrp": Tilted((1,))}
    for year in (2016, 2017):
        judged = {policy_year: policies[policy_year] for policy_year in range(2015, year)}
        report = eval_report("ppo_lstm", year, judged, STATES, baselines, {}, COSTS, CONTEXT)
        verdict = promote_from_report(court, report, STATES, COSTS)
        assert verdict.candidate == models[year - 2016].version
    first, second = log.history()
    assert (first.outcome, first.champion) == ("promoted", models[0].version)
    assert (second.prior, second.evidence["weeks"]) == (models[0].version, 52)
    champion = second.evidence["champion"]
    walked = simulate(policies[2015][1].target_weights, STATES.between("2017-01-02"), COSTS)
    assert champion["turnover"] == pytest.approx(walked.turnover.mean(), abs=1e-15)
    assert second.promoted == (second.outcome == "promoted")
    assert [finding.status for finding in replay(court, lambda weeks: STATES, COSTS)] == ["same", "same"]

    _, served = champion_for(log, artifacts, "2017-06-05")
    assert served.version == models[0].version  # as of that week, whatever came later
    policy = policy_of(served)
    experience = ExperienceStore(tmp_path / "experience.sqlite")
    portfolio = paper_portfolio(None, "2017-06-05", STATES)
    for week in ("2017-06-05", "2017-06-12"):
        record = decision_record(decide("ppo_lstm", (served.version, policy), STATES, week, portfolio, COSTS))
        assert experience.record_decision(record) == "inserted"
        assert label_week(experience, record.run_id, STATES, pd.Timestamp("2017-06-30"), COSTS) == "inserted"
        if week == "2017-06-05":
            portfolio = paper_portfolio(record, "2017-06-12", STATES)
    expected = simulate(policy.target_weights, STATES.between("2017-06-05", "2017-06-12"), COSTS)
    assert [row.label.reward for row in experience.records() if row.label] == expected.reward.tolist()


def test_a_network_of_another_shape_is_refused(tmp_path: Path, models: list[Artifact]) -> None:
    tensors = load(models[0].files[NETWORK_FILE])
    name = sorted(tensors)[0]
    broken = save({**tensors, name: np.zeros((3, 3), dtype=np.float32)})
    artifacts = ArtifactStore(tmp_path)
    model = dataclasses.replace(models[0], files={**models[0].files, NETWORK_FILE: broken})
    artifacts.save(model)
    with pytest.raises(CorruptArtifactError):
        policy_of(artifacts.load(model.name, model.version))
