from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from allocator_pipeline.errors import CorruptArtifactError, NotEnoughDataError
from allocator_pipeline.forecasters import network as networks
from allocator_pipeline.forecasters.base import Forecaster, reproducible
from allocator_pipeline.forecasters.descent import Descent, parameter_groups
from allocator_pipeline.forecasters.models import CLASSES
from allocator_pipeline.forecasters.patchtst import Layer, PatchTSTConfig, SequenceDropout, lags
from allocator_pipeline_tests.forecasters.conftest import SMALL

NAMES = ("lstm", "patchtst")
CHANNELS = len(SMALL["lstm"].channels)


def fitted(name: str, seed: int = 0, days: int = 400) -> Forecaster:
    random = np.random.default_rng(1)
    values = random.standard_normal((days, 6, CHANNELS)).astype(np.float32)
    return CLASSES[name](SMALL[name]).fit(values, random.standard_normal((days, 6)), seed)


@pytest.mark.parametrize("name", NAMES)
def test_an_output_depends_on_its_day_and_the_days_before_only(name):
    network = fitted(name).network_
    stride = SMALL[name].stride
    before = torch.randn(4, CHANNELS, 120, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        base = network(before)
        assert base.shape == (4, 120 // stride)
        for cut in (0, 7, 64, 119):
            after = before.clone()
            after[..., cut:] += 1.0
            changed = network(after)
            assert torch.equal(changed[:, : cut // stride], base[:, : cut // stride])
            assert (changed[:, cut // stride :] != base[:, cut // stride :]).any(dim=0).all()


@pytest.mark.parametrize("skip", [1, 5, 12, 13, 20])
@pytest.mark.parametrize("name", NAMES)
def test_skipped_outputs_change_nothing_about_the_others(name, skip):
    network = fitted(name).network_
    inputs = torch.randn(4, CHANNELS, 120, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs, skip), network(inputs)[:, skip:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("tokens", "band"), [(24, 12), (29, 12), (5, 12), (30, 7)])
def test_attention_in_blocks_is_banded_attention(tokens, band):
    """Against the whole square of scores with a mask, for lengths that are no multiple of the band too."""
    torch.manual_seed(0)
    layer = Layer(PatchTSTConfig(band=band))
    inputs = torch.randn(3, tokens, 16)
    heads = layer.qkv(layer.attention_norm(inputs)).view(3, tokens, 3, 4, 4).permute(2, 0, 3, 1, 4)
    lag = torch.arange(tokens)[:, None] - torch.arange(tokens)
    inside = (lag >= 0) & (lag < band)
    bias = layer.position[:, lag.clamp(0, band - 1)].masked_fill(~inside, -torch.inf)
    wanted = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=bias)
    mixed = layer.attend(inputs, 0)
    torch.testing.assert_close(mixed, wanted.transpose(1, 2).reshape(3, tokens, 16), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_network_has_no_opinion(name):
    network = CLASSES[name](CLASSES[name].config_type()).build().eval()
    assert not network(torch.randn(3, CHANNELS, 120)).any()


@pytest.mark.parametrize("name", NAMES)
def test_training_repeats_bit_for_bit_and_leaves_torch_as_it_was(name):
    one = fitted(name).tensors()
    torch.manual_seed(99)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        two, other = fitted(name).tensors(), fitted(name, seed=1).tensors()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_reproducible_gives_threads_back_after_an_error():
    threads = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), reproducible(0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", NAMES)
def test_scores_of_a_day_equal_the_prediction_from_the_days_before_it(name):
    forecaster = fitted(name)
    values = np.random.default_rng(2).standard_normal((300, 6, CHANNELS)).astype(np.float32)
    scores = forecaster.scores(values)
    assert np.isfinite(scores[-60:]).all()
    window = values[-SMALL[name].reach :].transpose(1, 0, 2)
    np.testing.assert_allclose(forecaster.predict(window), scores[-1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_is_read_once_an_epoch(name):
    forecaster = CLASSES[name](SMALL[name])
    rows = np.arange(SMALL[name].chunk)[forecaster._read]
    days = np.concatenate([start + rows for start in forecaster._starts(500).tolist()])
    unique, counts = np.unique(days, return_counts=True)
    assert (counts == 1).all()
    assert unique[-1] == 499
    assert unique[0] < SMALL[name].chunk + SMALL[name].stride


def test_a_network_that_has_forecast_is_trained_further():
    """What attention keeps for one length of a sequence serves forecasts and training alike."""
    lags.cache_clear()
    forecaster = fitted("patchtst")
    lags.cache_clear()
    chunk = SMALL["patchtst"].chunk
    forecaster.predict(np.zeros((2, chunk, CHANNELS), dtype=np.float32))
    assert fitted("patchtst").losses_ == forecaster.losses_


def test_dropout_is_one_draw_for_a_sequence():
    layer = SequenceDropout(0.5).train()
    dropped = layer(torch.ones(200, 6, 8))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[:, :1]).all()
    assert dropped.mean() == pytest.approx(1.0, abs=0.1)
    assert torch.equal(layer.eval()(dropped), dropped)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_targets_teach_nothing(name):
    random = np.random.default_rng(1)
    values, targets = random.standard_normal((300, 6, CHANNELS)), random.standard_normal((300, 6))
    holes = np.where(random.random(targets.shape) < 0.5, np.nan, targets)
    forecaster = CLASSES[name](SMALL[name]).fit(values.astype(np.float32), holes)
    assert all(np.isfinite(forecaster.losses_))
    assert all(bool(tensor.isfinite().all()) for tensor in forecaster.tensors().values())


@pytest.mark.parametrize("name", NAMES)
def test_short_or_empty_folds_and_unfitted_models_are_errors(name):
    forecaster = CLASSES[name](SMALL[name])
    with pytest.raises(NotEnoughDataError):
        forecaster.fit(np.zeros((119, 6, CHANNELS), dtype=np.float32), np.zeros((119, 6)))
    with pytest.raises(NotEnoughDataError):
        forecaster.fit(np.zeros((300, 6, CHANNELS), dtype=np.float32), np.full((300, 6), np.nan))
    with pytest.raises(NotEnoughDataError):
        CLASSES[name](SMALL[name]).predict(np.zeros((2, 120, CHANNELS), dtype=np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_only_its_own_tensors_are_loaded(name):
    forecaster = fitted(name)
    good = forecaster.tensors()
    window = np.random.default_rng(3).standard_normal((5, 120, CHANNELS)).astype(np.float32)
    again = CLASSES[name](SMALL[name]).load(good)
    np.testing.assert_array_equal(again.predict(window), forecaster.predict(window))
    key = "head.weight"
    nan = good[key].clone()
    nan[0, 0] = torch.nan
    bad = [
        {k: v for k, v in good.items() if k != key},
        good | {"extra": good[key]},
        good | {key: good[key][:, :-1]},
        good | {key: good[key].double()},
        good | {key: nan},
    ]
    for tensors in bad:
        with pytest.raises(CorruptArtifactError):
            CLASSES[name](SMALL[name]).load(tensors)


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_views(name):
    values = np.zeros((300, 6, CHANNELS), dtype=np.float32)
    windows = CLASSES[name](SMALL[name])._windows(values)
    chunk = SMALL[name].chunk
    assert windows.shape == (301 - chunk, 6, CHANNELS, chunk)
    assert np.shares_memory(windows.numpy(), values)


@pytest.mark.parametrize(
    ("stocks", "sizes"), [(1, [1]), (15, [15]), (50, [50]), (51, [25, 26]), (100, [50, 50]), (500, [50] * 10)]
)
def test_many_stocks_are_taken_in_equal_parts_and_few_in_one(stocks, sizes):
    parts = networks.parts(stocks)
    assert [part.stop - part.start for part in parts] == sizes
    assert [row for part in parts for row in range(stocks)[part]] == list(range(stocks))


def gradients(name: str, at_once: int) -> tuple[list[torch.Tensor], list[float]]:
    """Return the gradient of every step of a training without dropout, in parts of so many stocks, and its losses."""
    start = fitted(name).tensors()
    generator = torch.Generator().manual_seed(7)
    start["head.weight"] = torch.randn(start["head.weight"].shape, generator=generator)  # it passes gradients on
    seen = []

    class Watched(Descent):
        def step(self) -> None:
            seen.append(self._gradient.clone())
            super().step()

    random = np.random.default_rng(6)
    values, targets = random.standard_normal((300, 6, CHANNELS)).astype(np.float32), random.standard_normal((300, 6))
    targets[:, :2] = np.nan  # a part without any target, and parts of unequal weight
    targets[:200, 3] = np.nan
    still = {"learning_rate": 1e-12} | ({"dropout": 0.0} if name == "patchtst" else {})
    config = dataclasses.replace(SMALL[name], **still)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "Descent", Watched)
        patch.setattr(networks, "STOCKS_AT_ONCE", at_once)
        losses = CLASSES[name](config).fit(values, targets, start=start).losses_
    return seen, losses


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_a_step_in_parts_has_the_gradient_of_the_whole(name, at_once):
    whole, losses = gradients(name, 6)
    split, losses_split = gradients(name, at_once)
    assert len(whole) == len(split) > 0
    for mine, all_at_once in zip(split, whole, strict=True):
        assert (all_at_once.abs() > 1e-4).float().mean() > 0.9
        torch.testing.assert_close(mine, all_at_once, rtol=1e-4, atol=1e-5)
    assert losses_split == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_scores_do_not_depend_on_the_parts(name, monkeypatch):
    forecaster = fitted(name)
    values = np.random.default_rng(2).standard_normal((300, 7, CHANNELS)).astype(np.float32)
    whole = forecaster.scores(values)
    monkeypatch.setattr(networks, "STOCKS_AT_ONCE", 3)
    np.testing.assert_allclose(forecaster.scores(values), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_of_one_part_is_the_plain_one(name):
    """Against the loss, optimiser, schedule and clipping as torch has them, weight by weight."""
    config, stocks = SMALL[name], 15
    random = np.random.default_rng(8)
    values = random.standard_normal((300, stocks, CHANNELS)).astype(np.float32)
    targets = random.standard_normal((300, stocks))
    targets[random.random(targets.shape) < 0.3] = np.nan
    ours = CLASSES[name](config).fit(values, targets, seed=4)
    windows = ours._windows(values)
    wanted = torch.from_numpy(targets.astype(np.float32)).unfold(0, config.chunk, 1)[..., ours._read]
    starts = ours._starts(300)
    with reproducible(4):
        plain = ours.build().train()
        groups = parameter_groups(plain, config.weight_decay)
        optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        steps = -(-len(starts) // config.chunks_per_step)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps)
        for batch in starts[torch.randperm(len(starts))].split(config.chunks_per_step):
            target = wanted[batch].flatten(0, 1)
            known = target.isfinite()
            loss = (plain(windows[batch].flatten(0, 1), ours._unread)[known] - target[known]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), config.gradient_clip)
            optimiser.step()
            schedule.step()
    for key, tensor in plain.state_dict().items():
        torch.testing.assert_close(ours.tensors()[key], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_shares_nothing_with_the_network(name):
    forecaster = fitted(name)
    state = forecaster.tensors()
    before = {key: tensor.clone() for key, tensor in state.items()}
    with torch.no_grad():
        for weight in forecaster.network_.parameters():
            weight.fill_(7.0)
    assert all(torch.equal(state[key], before[key]) for key in before)


@pytest.mark.parametrize("name", NAMES)
def test_a_warm_start_goes_on_from_the_weights_it_is_given(name):
    cold = fitted(name)
    before = cold.tensors()
    random = np.random.default_rng(5)
    values, targets = random.standard_normal((300, 6, CHANNELS)).astype(np.float32), random.standard_normal((300, 6))
    still = dataclasses.replace(SMALL[name], learning_rate=1e-12, warm_epochs=2)
    warm = CLASSES[name](still).fit(values, targets, start=before)
    assert len(warm.losses_) == 2
    for key, tensor in warm.tensors().items():
        torch.testing.assert_close(tensor, before[key], rtol=1e-6, atol=1e-8)
    moved = CLASSES[name](SMALL[name]).fit(values, targets, start=before).tensors()
    again = CLASSES[name](SMALL[name]).fit(values, targets, start=before).tensors()
    assert all(torch.equal(moved[key], again[key]) for key in moved)
    assert any(not torch.equal(moved[key], before[key]) for key in moved)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_of_another_shape_is_no_start(name):
    start = {key: value[..., :1] for key, value in fitted(name).tensors().items()}
    with pytest.raises(CorruptArtifactError):
        CLASSES[name](SMALL[name]).fit(np.zeros((300, 6, CHANNELS), dtype=np.float32), np.zeros((300, 6)), start=start)
