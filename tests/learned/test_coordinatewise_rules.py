"""The LSTM, and what holds for every rule that treats each coordinate alone."""

import math

import pytest
import torch
import torchopt
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient, Sum
from bilevel.tree import add

COORDINATE_WISE = {
    "lstm": lambda: learned.LSTM(5).double(),
    "mlp of one coordinate": lambda: learned.MLP(1).double(),
    "sign": lambda: SignGradient(0.1),
    "adam": lambda: torchopt.adam(0.1),
    "sum": lambda: Sum(SignGradient(0.1), learned.LSTM(3).double()),
}


def walk(rule, z, gradients: list):
    state = rule.init(z)
    with torch.no_grad():
        for gradient in gradients:
            updates, state = rule.update(gradient, state, params=z, inplace=False)
            z = add(z, updates)
    return z


@pytest.mark.parametrize("make", COORDINATE_WISE.values(), ids=COORDINATE_WISE)
@given(order=st.permutations(range(6)), seed=st.integers(0, 2**16))
@settings(deadline=None, max_examples=15)
def test_the_order_of_the_coordinates_does_not_matter(make, order: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    rule = make()
    z, *gradients = torch.randn(4, 6, dtype=torch.float64)
    expected = walk(rule, z, gradients)[order]
    torch.testing.assert_close(walk(rule, z[order], [g[order] for g in gradients]), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", COORDINATE_WISE.values(), ids=COORDINATE_WISE)
@given(cut=st.integers(1, 5), seed=st.integers(0, 2**16))
@settings(deadline=None, max_examples=10)
def test_how_the_coordinates_are_split_into_tensors_does_not_matter(make, cut: int, seed: int) -> None:
    torch.manual_seed(seed)
    rule = make()
    z, *gradients = torch.randn(4, 6, dtype=torch.float64)

    def split(v: Tensor) -> tuple[Tensor, ...]:
        return v[:cut].reshape(1, -1), v[cut:]

    parts = walk(rule, split(z), [split(g) for g in gradients])
    got = torch.cat([part.reshape(-1) for part in parts])
    torch.testing.assert_close(got, walk(rule, z, gradients), rtol=1e-12, atol=1e-14)


def test_the_lstm_is_pytorchs() -> None:
    rule = learned.LSTM(4, 2, scale=0.5).double()
    reference = nn.LSTM(2, 4, 2).double()
    reference.load_state_dict(
        {f"{name}_l{i}": value for i, cell in enumerate(rule.cells) for name, value in cell.named_parameters()}
    )
    z, gradients = torch.zeros(3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    seen = torch.stack(learned.LogSign(10.0)(-gradients), dim=-1)
    expected = 0.5 * rule.output(reference(seen)[0])[..., 0]
    state = rule.init(z)
    for gradient, wanted in zip(gradients, expected, strict=True):
        updates, state = rule.update(gradient, state, params=z)
        torch.testing.assert_close(updates, wanted, rtol=1e-12, atol=1e-14)


def test_the_lstms_default_is_the_papers() -> None:
    rule = learned.LSTM()
    assert rule.inputs == (learned.Direction(learned.LogSign(10.0)),)
    # 4 gates of 20 units that read 2 + 20 and 20 + 20 numbers, with two biases each, and the output.
    assert sum(p.numel() for p in rule.parameters()) == 4 * 20 * (22 + 2) + 4 * 20 * (40 + 2) + 21


def test_the_state_carries_the_graph_until_someone_detaches_it() -> None:
    rule, z = learned.LSTM(3), torch.zeros(2)
    _, state = rule.update(torch.ones(2), rule.init(z), params=z)
    assert all(part.requires_grad for cell in state["cells"] for part in cell)


def test_a_state_of_another_size_is_refused() -> None:
    rule = learned.LSTM(3)
    with pytest.raises(ConfigurationError, match="2 coordinates and a state of 3"):
        rule.update(torch.ones(2), rule.init(torch.zeros(3)), params=torch.zeros(2))
    with pytest.raises(ConfigurationError, match="without tensors"):
        rule.init({})


@pytest.mark.parametrize("setting", [{"hidden": 0}, {"layers": 0}, {"scale": 0.0}, {"scale": math.nan}])
def test_settings_out_of_range_are_refused(setting: dict) -> None:
    with pytest.raises(ConfigurationError, match="LSTM"):
        learned.LSTM(**setting)
