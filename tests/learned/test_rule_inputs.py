import math
from functools import partial

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn

from bilevel import learned
from bilevel.errors import ConfigurationError


class Record(nn.Module):
    """A network that keeps what it was shown and answers with ones."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.seen = in_channels, []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return torch.ones_like(x[:, :1])


def shown(*inputs: learned.Input, z: Tensor, gradients: list[Tensor]) -> list[Tensor]:
    """Return what a network sees at each of several updates, each of which adds one to the iterate."""
    rule = learned.Convolutional(1, Record, scale=1.0, inputs=inputs, output=nn.Identity())
    state = rule.init(z)
    for gradient in gradients:
        updates, state = rule.update(gradient, state, params=z)
        z = z + updates
    assert rule.network.in_channels == rule.planes
    return rule.network.seen


@pytest.fixture
def case() -> dict:
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, 2, 1, 3, 3, generator=generator, dtype=torch.float64)
    return {"z": draw(), "gradients": [draw(), draw(), draw()]}


def test_planes_come_in_the_order_of_the_inputs(case: dict) -> None:
    z, g = case["z"], case["gradients"]
    inputs = (
        learned.Iterate(),
        learned.Direction(),
        learned.Start(),
        learned.Displacement(),
        learned.LastDirection(),
    )
    zero = torch.zeros_like(z)
    for t, x in enumerate(shown(*inputs, **case)):
        last = -g[t - 1] if t else zero
        torch.testing.assert_close(x, torch.cat([z + t, -g[t], z, zero + t, last], dim=1), rtol=0, atol=1e-14)


def test_the_direction_is_turned_before_it_is_preprocessed(case: dict) -> None:
    (x, *_) = shown(learned.Direction(learned.LogSign(10.0)), **case)
    assert torch.equal(x, torch.cat(learned.LogSign(10.0)(-case["gradients"][0]), dim=1))


def test_the_papers_presets() -> None:
    image, gradient = learned.Iterate(), learned.Direction(learned.BatchMax())
    for preset, expected in (
        (learned.NAIVE, (image,)),
        (learned.GRAD, (image, gradient)),
        (learned.GRAD_ONLY, (gradient,)),
    ):
        assert preset == expected


def test_noise_is_fresh_has_its_deviation_and_follows_the_seed() -> None:
    z = torch.zeros(1, 1, 100, 100)
    torch.manual_seed(0)
    first, second = shown(learned.Noise(0.3), z=z, gradients=[z, z])
    assert not torch.equal(first, second)
    assert first.std().item() == pytest.approx(0.3, rel=0.05)
    torch.manual_seed(0)
    assert torch.equal(shown(learned.Noise(0.3), z=z, gradients=[z])[0], first)
    for std in (0.0, -1.0, math.inf):
        with pytest.raises(ConfigurationError, match="std"):
            learned.Noise(std)


def test_the_iterate_carries_the_graph_unless_it_is_detached() -> None:
    z = torch.ones(1, 1, 2, 2, requires_grad=True)
    gradients = [torch.zeros(1, 1, 2, 2)]
    assert shown(learned.Iterate(), z=z, gradients=gradients)[0].requires_grad
    assert not shown(learned.Iterate(detach=True), z=z, gradients=gradients)[0].requires_grad


def test_the_direction_is_a_constant_unless_it_is_asked_not_to_be() -> None:
    z = torch.ones(1, 1, 2, 2)
    g = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert not shown(learned.Direction(), z=z, gradients=[g])[0].requires_grad
    assert shown(learned.Direction(detach=False), z=z, gradients=[g])[0].requires_grad


def test_the_state_holds_what_the_inputs_remember_and_nothing_more() -> None:
    z = torch.ones(1, 1, 2, 2)
    inputs = (learned.Iterate(), learned.Start(), learned.Direction(), learned.LastDirection(), learned.Noise())
    state = learned.Convolutional(1, learned.Small(), scale=1.0, inputs=inputs).init(z)
    kept = [type(memory) for memory in state[0]]
    assert kept == [tuple, Tensor, tuple, Tensor, tuple]


def test_a_state_of_another_rule_is_refused() -> None:
    z = torch.ones(1, 1, 2, 2)
    rule = learned.Convolutional(1, learned.Small(), scale=1.0, inputs=(learned.Start(),))
    with pytest.raises(ConfigurationError, match="this rule's init"):
        rule.update(z, (((),),), params=z)


@pytest.mark.parametrize("inputs", [(), (learned.Iterate,), ("iterate",)])
def test_inputs_that_are_none_are_refused(inputs: tuple) -> None:
    # The executed annotations see what is no input before the rule does.
    with pytest.raises((ConfigurationError, TypeCheckError), match="inputs"):
        learned.MLP(2, inputs=inputs)


def test_an_input_of_ones_own() -> None:
    class Mean(learned.Input):
        """The running sum of the directions: a memory that changes."""

        def init(self, z: Tensor) -> learned.Memory:
            return torch.zeros_like(z)

        def read(self, view: learned.View) -> tuple[Tensor, ...]:
            return (self.remember(view),)

        def remember(self, view: learned.View) -> Tensor:
            return view.remembered - view.gradient

    z = torch.zeros(1, 1, 2, 2)
    seen = shown(Mean(), z=z, gradients=[z + 1, z + 2, z + 3])
    assert [x.unique().item() for x in seen] == [-1, -3, -6]
    assert learned.MLP(2, inputs=(Mean(),)).sees_gradient
