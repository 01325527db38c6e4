from __future__ import annotations

import pytest
import torch

from allocator_pipeline.allocators import networks as serving
from allocator_pipeline.errors import CorruptArtifactError
from allocator_pipeline.learners.networks import (
    StackedAdam,
    forward,
    generators,
    initial,
    load_random_state,
    normal,
    permutations,
    random_state,
    uniform,
)

CPU = torch.device("cpu")


def make_parameters(sizes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    drawn = initial(sizes, generators([1, 2, 3], CPU), last_gain=1.0, orthogonal=False)
    return {name: tensor.to(dtype).requires_grad_() for name, tensor in drawn.items()}


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("sizes", [(10, 16, 1), (11, 8, 6, 2), (10, 1), (4, 3, 5, 1)])
def test_forward_and_its_gradient_are_those_of_the_plain_network(activation: str, sizes: tuple[int, ...]) -> None:
    parameters = make_parameters(sizes)
    inputs = torch.randn(3, 40, sizes[0], dtype=torch.float64).requires_grad_()
    found = forward(parameters, inputs, activation)
    plain = serving.forward(parameters, inputs, activation)
    torch.testing.assert_close(found, plain, atol=1e-12, rtol=0)
    weights = torch.randn_like(found)
    leaves = [inputs, *parameters.values()]
    fast, slow = (torch.autograd.grad((out * weights).sum(), leaves) for out in (found, plain))
    for name, one, other in zip(["inputs", *parameters], fast, slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0, msg=name)


def test_forward_in_float32_is_what_is_served() -> None:
    parameters = make_parameters((10, 16, 1), torch.float32)
    inputs = 3.0 * torch.randn(3, 500, 10)
    found, plain = (f(parameters, inputs, "tanh") for f in (forward, serving.forward))
    torch.testing.assert_close(found, plain, atol=2e-6, rtol=0)


def test_gradient_of_what_was_derived_by_hand() -> None:
    parameters = list(make_parameters((4, 3, 1)).items())
    inputs = torch.randn(3, 5, 4, dtype=torch.float64).requires_grad_()

    def network(seen: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in parameters]
        return forward(dict(zip(names, tensors, strict=True)), seen, "tanh")

    assert torch.autograd.gradcheck(network, (inputs, *(tensor for _, tensor in parameters)))


def test_orthogonal_start_is_that_of_stable_baselines3() -> None:
    parameters = initial((10, 16, 1), generators([5, 6], CPU), last_gain=0.01, orthogonal=True)
    for weight in parameters["weight.0"]:
        torch.testing.assert_close(weight @ weight.T, 2.0 * torch.eye(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(parameters["weight.1"].flatten(1).norm(dim=1), torch.full((2,), 0.01))
    assert not any(parameters[name].any() for name in ("bias.0", "bias.1"))
    assert not torch.equal(parameters["weight.0"][0], parameters["weight.0"][1])


def test_uniform_start_is_that_of_torchs_linear_layers() -> None:
    parameters = initial((25, 40, 2), generators([5], CPU), last_gain=1.0, orthogonal=False)
    for name, bound in (("weight.0", 0.2), ("bias.0", 0.2), ("weight.1", 40**-0.5)):
        assert parameters[name].abs().max() <= bound
        assert parameters[name].abs().max() > 0.9 * bound


@pytest.mark.parametrize(
    "draw", [lambda s: normal(s, (3, 4)), lambda s: uniform(s, (7,)), lambda s: permutations(s, 9)]
)
def test_numbers_drawn_do_not_depend_on_the_others_and_continue(draw) -> None:
    together, alone = generators([1, 2, 3], CPU), generators([2], CPU)
    assert torch.equal(draw(together)[1:2], draw(alone))
    state = random_state(together)
    wanted = draw(together)
    fresh = generators([7, 8, 9], CPU)
    load_random_state(fresh, state)
    assert torch.equal(draw(fresh), wanted)


def test_a_random_state_of_another_kind_is_refused() -> None:
    sources = generators([1, 2], CPU)
    state = random_state(sources)
    for wrong in (state[:1], state[:, :16], state.int()):
        with pytest.raises(CorruptArtifactError, match="random numbers"):
            load_random_state(sources, wrong)
    assert torch.equal(random_state(sources), state)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "eps": 1e-5}, {"max_norm": 0.5}])
def test_adam_is_torchs_for_each_learner(options: dict[str, float]) -> None:
    torch.manual_seed(0)
    start = [torch.randn(3, 4, 2), torch.randn(3, 1)]
    targets = [torch.randn_like(tensor) for tensor in start]
    stacked = [tensor.clone() for tensor in start]
    adam = StackedAdam(stacked, **options)
    for rate in (0.1, 0.05, 0.01):
        adam.step(sum(((t - p).square().sum() for p, t in zip(stacked, targets, strict=True)), torch.zeros(())), rate)
    for learner in range(3):
        single = [tensor[learner].clone().requires_grad_() for tensor in start]
        kept = {name: value for name, value in options.items() if name != "max_norm"}
        plain = torch.optim.Adam(single, **kept)
        for rate in (0.1, 0.05, 0.01):
            plain.zero_grad()
            sum((t[learner] - p).square().sum() for p, t in zip(single, targets, strict=True)).backward()  # type: ignore[union-attr]
            if "max_norm" in options:
                torch.nn.utils.clip_grad_norm_(single, options["max_norm"])
            plain.param_groups[0]["lr"] = rate
            plain.step()
        for one, many in zip(single, stacked, strict=True):
            torch.testing.assert_close(many[learner], one, atol=1e-6, rtol=0)


def test_adams_state_is_its_own_and_continues_it() -> None:
    start = torch.randn(2, 3)

    def train(adam: StackedAdam, times: int) -> None:
        for _ in range(times):
            adam.step(adam.parameters[0].pow(4).sum(), 0.1)

    whole = StackedAdam([start.clone()])
    assert float(whole.state()["0.step"]) == 0.0  # there before the first step, so that names never differ
    train(whole, 5)
    half = StackedAdam([start.clone()])
    train(half, 2)
    rest = StackedAdam([half.parameters[0].detach().clone()])
    for name, tensor in rest.state().items():
        tensor.copy_(half.state()[name])
    train(rest, 3)
    assert float(rest.state()["0.step"]) == 5.0
    assert torch.equal(rest.parameters[0], whole.parameters[0])
