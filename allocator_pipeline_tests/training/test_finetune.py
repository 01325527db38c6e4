from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load

from allocator_pipeline.allocators.policy import Policy
from allocator_pipeline.allocators.recipes import FINETUNE
from allocator_pipeline.config import CostConfig
from allocator_pipeline.errors import ConfigurationError, CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.portfolio.state import StateTensors
from allocator_pipeline.portfolio.transition import Transition
from allocator_pipeline.studies.paper_weeks import lived_weeks
from allocator_pipeline.training.finetune import finetune, finetune_identity
from allocator_pipeline_tests.training.conftest import EVERY, Stored

WEEK = "1993-07-05"
SHORT = dataclasses.replace(FINETUNE, total_steps=208, n_envs=4, fill_steps=40)


@pytest.mark.parametrize("trained", EVERY, indirect=True)
def test_goes_on_from_the_champion(champion: Stored, states: StateTensors) -> None:
    tuned = finetune(champion, WEEK, states, settings=SHORT)
    assert tuned.identity == finetune_identity(champion.manifest, WEEK, states, settings=SHORT)
    assert tuned.identity.parent == champion.manifest["version"]
    assert tuned.version.startswith("v1993-06-28-")
    assert tuned.version.endswith("-ft")
    assert tuned.facts["weeks"] == 26
    before, after = Policy.from_files(champion.files), Policy.from_files(tuned.files)
    assert after.scaler.to_dict() == before.scaler.to_dict()
    assert after.recipe == before.recipe
    assert after.shrinkage == before.shrinkage
    moved = [
        float((after.network.state_dict()[name] - tensor).abs().max())
        for name, tensor in before.network.state_dict().items()
    ]
    assert 0.0 < max(moved) < 0.05  # weights carried, trained further, gently
    assert dict(finetune(champion, WEEK, states, settings=SHORT).files) == dict(tuned.files)


@pytest.mark.parametrize("trained", ["sac-default", "sac-default_sb3", "sac-reference"], indirect=True)
def test_alpha_is_carried_and_really_updated(champion: Stored, states: StateTensors) -> None:
    """An optimiser that holds a stale copy of alpha steps on and on while alpha stays where it was."""
    before = load(champion.files["training.safetensors"])
    tuned = finetune(champion, WEEK, states, settings=SHORT)
    after = load(tuned.files["training.safetensors"])
    updates = float(after["alpha_optimizer.0.step"] - before["alpha_optimizer.0.step"])
    assert updates > 0
    change = (after["log_alpha"] - before["log_alpha"]).abs()
    # Adam moves a parameter by about the learning rate in each update, so alpha began where the champion's ended.
    assert float(change.min()) > 0.1 * SHORT.learning_rate
    assert float(change.max()) < 2.0 * SHORT.learning_rate * updates


@pytest.mark.parametrize("trained", ["ppo-default", "dpg-default", "ppo-reference"], indirect=True)
def test_optimisers_go_on(champion: Stored, states: StateTensors) -> None:
    before = load(champion.files["training.safetensors"])
    after = load(finetune(champion, WEEK, states, settings=SHORT).files["training.safetensors"])
    name = next(name for name in before if name.endswith(".step"))
    assert float(after[name]) > float(before[name]) > 0


@pytest.fixture
def experience(champion: Stored, states: StateTensors) -> list[Transition]:
    """The champion's paper account from 1992-06 on, beyond the week of the fine-tune."""
    weeks = states.between("1992-06-01", "1993-08-30")
    return lived_weeks("ppo_lstm", Policy.from_files(champion.files), weeks, CostConfig())


@pytest.mark.parametrize("trained", EVERY, indirect=True)
def test_labelled_experience_is_learnt_from(
    champion: Stored, states: StateTensors, experience: list[Transition]
) -> None:
    plain = finetune(champion, WEEK, states, settings=SHORT)
    lived = finetune(champion, WEEK, states, experience, settings=SHORT)
    assert lived.identity == finetune_identity(champion.manifest, WEEK, states, experience, settings=SHORT)
    assert lived.version != plain.version
    assert lived.files["policy.safetensors"] != plain.files["policy.safetensors"]
    assert dict(finetune(champion, WEEK, states, experience, settings=SHORT).files) == dict(lived.files)
    facts = lived.facts["experience"]
    assert facts["labelled_weeks"] == 26
    assert (facts["first_week"], facts["last_week"]) == (lived.facts["first_week"], lived.facts["last_week"])
    assert facts["left_out"] == []
    assert facts["run_ids_sha256"] != plain.facts["experience"]["run_ids_sha256"]
    assert "buffer_in_sample" in lived.facts
    assert "last_year_in_sample" not in lived.facts


@pytest.mark.parametrize("trained", ["ppo-default"], indirect=True)
def test_experience_outside_the_buffer_changes_nothing(
    champion: Stored, states: StateTensors, experience: list[Transition]
) -> None:
    plain = finetune_identity(champion.manifest, WEEK, states, settings=SHORT)
    outside = [one for one in experience if not "1992-12-28" <= one.week <= "1993-06-21"]
    assert finetune_identity(champion.manifest, WEEK, states, outside, settings=SHORT) == plain
    last = [one for one in experience if one.week == "1993-06-21"]
    assert finetune_identity(champion.manifest, WEEK, states, last, settings=SHORT) != plain


@pytest.mark.parametrize("trained", ["sac-default", "sac-reference"], indirect=True)
def test_an_interrupted_fine_tune_with_experience_ends_with_the_same_bits(
    champion: Stored,
    states: StateTensors,
    experience: list[Transition],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = finetune(champion, WEEK, states, experience, settings=SHORT)
    monkeypatch.setattr("allocator_pipeline.training.checkpoints.Checkpoint.due", lambda own: own._held)
    heard: list[str] = []

    def stop(message: str) -> None:
        heard.append(message)
        if sum("steps/s" in one for one in heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(champion, WEEK, states, experience, settings=SHORT, checkpoints=tmp_path, progress=stop)
    heard.clear()
    again = finetune(champion, WEEK, states, experience, settings=SHORT, checkpoints=tmp_path, progress=heard.append)
    assert "goes on from step" in heard[0]
    assert dict(again.files) == dict(whole.files)


@pytest.mark.parametrize("trained", ["ppo-reference"], indirect=True)
def test_slots_follow_symbols(champion: Stored, states: StateTensors) -> None:
    """In 1993 two symbols have changed places and one has joined: its slots stay, the joiner fills the gap."""
    prior = Policy.from_files(champion.files)
    artifact = finetune(champion, WEEK, states, settings=SHORT)
    tuned = Policy.from_files(artifact.files)
    assert tuned.symbols[1:3] == prior.symbols[1:3] == ("STOCK01", "STOCK02")
    assert prior.symbols[7] == "STOCK07"
    assert tuned.symbols[7] == "JOINER93"
    assert (artifact.facts["joined"], artifact.facts["left"]) == (["JOINER93"], ["STOCK07"])


@pytest.mark.parametrize("trained", ["ppo-default"], indirect=True)
def test_reads_nothing_after_the_decision(champion: Stored, states: StateTensors) -> None:
    later = states.weeks >= np.datetime64("1993-06-28")
    returns = np.where(later[:, None], np.nan, states.returns)
    forecasts = np.where(later[:, None], 9.0, states.forecasts)
    blind = dataclasses.replace(states, returns=returns, forecasts=forecasts)
    assert dict(finetune(champion, WEEK, blind, settings=SHORT).files) == dict(
        finetune(champion, WEEK, states, settings=SHORT).files
    )


@pytest.mark.parametrize("trained", ["ppo-default"], indirect=True)
def test_refuses_what_it_cannot_start_from(champion: Stored, states: StateTensors) -> None:
    with pytest.raises(ConfigurationError, match="has read prices after"):
        finetune(champion, "1992-06-01", states)
    with pytest.raises(NotEnoughDataError, match="26 weeks"):
        finetune(champion, "1996-07-01", states)
    without = {name: payload for name, payload in champion.files.items() if name != "training.safetensors"}
    with pytest.raises(CorruptArtifactError, match=r"training\.safetensors is absent"):
        finetune(Stored(champion.manifest, without), WEEK, states, settings=SHORT)
    with pytest.raises(CorruptArtifactError, match="manifest is incomplete"):
        finetune(Stored({"cutoff": "1992-12-28", "version": "v1"}, champion.files), WEEK, states)
