import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bilevel import learned
from bilevel.errors import ConfigurationError

M = 2561


def test_the_default_has_the_papers_size() -> None:
    with torch.device("meta"):
        rule = learned.MLP(M)
    assert sum(parameter.numel() for parameter in rule.parameters()) == 341_086_787 == 52 * M**2 + 13 * M + 2


def test_the_update_is_the_formula() -> None:
    rule = learned.MLP(3).double()
    first, slope1, second, slope2, third = rule.network
    z, g = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    h = F.prelu(torch.cat([z, -g], dim=1) @ first.weight.T + first.bias, slope1.weight)
    h = F.prelu(h @ second.weight.T + second.bias, slope2.weight)
    expected = h @ third.weight.T + third.bias
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0], expected, rtol=1e-12, atol=1e-14)


def test_without_hidden_layers_it_can_be_gradient_descent() -> None:
    rule = learned.MLP(2, ()).double()
    with torch.no_grad():
        rule.network[0].weight.copy_(torch.tensor([[0.0, 0, 0.1, 0], [0, 0, 0, 0.1]]))
        rule.network[0].bias.zero_()
    z, g = torch.randn(2, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    scale = rule.network[0].weight[0, 2]
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0], -scale * g, rtol=1e-14, atol=0)


def test_a_tree_is_one_sample_and_its_order_is_that_of_its_leaves() -> None:
    rule = learned.MLP(5).double()
    whole, g = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)

    def split(v: Tensor) -> dict[str, Tensor]:
        return {"b": v[4:].reshape(()), "a": v[:4].reshape(2, 2)}

    expected, _ = rule.update(g, rule.init(whole), params=whole)
    got, _ = rule.update(split(g), rule.init(split(whole)), params=split(whole))
    assert torch.equal(torch.cat([got["a"].reshape(-1), got["b"].reshape(-1)]), expected)


def test_the_samples_of_a_batch_do_not_mix() -> None:
    inputs = (learned.Iterate(), learned.Direction(learned.SampleRMS()))
    rule = learned.MLP(4, inputs=inputs).double()
    z, g = torch.randn(3, 2, 2, dtype=torch.float64), torch.randn(3, 2, 2, dtype=torch.float64)
    together, _ = rule.update(g, rule.init(z), params=z)
    for i in range(3):
        alone, _ = rule.update(g[i : i + 1], rule.init(z[i : i + 1]), params=z[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-12, atol=1e-14)


def test_a_zero_last_layer_gives_a_zero_first_update() -> None:
    rule, z = learned.MLP(3, zero_last=True), torch.randn(3)
    assert torch.equal(rule.update(z, rule.init(z), params=z)[0], torch.zeros(3))


@pytest.mark.parametrize(
    "z",
    [
        torch.zeros(7),
        torch.zeros(3, 3),
        torch.zeros(5, 2),  # 10 numbers, but no row of 5 is a sample
        {"a": torch.zeros(2, 3), "b": torch.zeros(2, 2)},
    ],
)
def test_what_does_not_fall_into_rows_is_refused(z) -> None:
    with pytest.raises(ConfigurationError, match="MLP got z of shapes"):
        learned.MLP(5).init(z)


@pytest.mark.parametrize(("size", "hidden"), [(0, None), (2, (3, 0)), (-1, None)])
def test_sizes_must_be_positive(size: int, hidden) -> None:
    with pytest.raises(ConfigurationError, match="must be positive"):
        learned.MLP(size, hidden)
