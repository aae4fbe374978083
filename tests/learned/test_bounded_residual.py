import pytest
import torch

from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import Adam, Gradient, Stay


def test_the_update_is_the_formula() -> None:
    h = learned.MLP(1, (4,)).double()
    rule = learned.BoundedResidual(h, base=Gradient(0.5), limit=0.02)
    z, g = torch.randn(2, 5, dtype=torch.float64)
    output, _ = h.update(g, h.init(z), params=z)
    expected = -0.5 * g + 0.02 * torch.tanh(output / 0.02)
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0], expected, rtol=1e-14, atol=1e-15)


def test_no_coordinate_is_farther_than_the_limit_from_where_the_base_goes() -> None:
    loud = learned.MLP(1, (8,)).double()
    with torch.no_grad():
        loud.network[-1].bias.fill_(1e6)
    rule = learned.BoundedResidual(loud, base=Gradient(0.5), limit=0.02)
    z, g = torch.randn(2, 50, dtype=torch.float64)
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0] + 0.5 * g, torch.full_like(g, 0.02))


def test_a_small_output_is_added_as_it_is() -> None:
    rule = learned.BoundedResidual(Gradient(1.0), base=Stay(), limit=1.0)
    g = torch.full((3,), 1e-6, dtype=torch.float64)
    torch.testing.assert_close(rule.update(g, rule.init(g), params=g)[0], -g, rtol=1e-11, atol=0)


def test_with_a_last_layer_of_zeros_it_begins_as_the_base_and_still_learns() -> None:
    rule = learned.BoundedResidual(learned.MLP(1, (8,), zero_last=True), base=Gradient(0.5), limit=0.02)
    z, g = torch.randn(2, 6)
    update, _ = rule.update(g, rule.init(z), params=z)
    assert torch.equal(update, rule.base.update(g, ())[0])
    update.sum().backward()
    last = rule.learned.network[-1]
    torch.testing.assert_close(last.bias.grad, torch.tensor([6.0]))
    assert last.weight.grad.abs().min() > 0


def test_any_rule_may_be_the_base_and_each_has_its_own_state() -> None:
    base, h = Adam(0.1), learned.LSTM(3)
    rule = learned.BoundedResidual(h, base=base, limit=0.1)
    z = {"a": torch.randn(2, 2), "b": torch.randn(3)}
    state, base_state, own = rule.init(z), base.init(z), h.init(z)
    for _ in range(3):
        g = {name: torch.randn_like(leaf) for name, leaf in z.items()}
        update, state = rule.update(g, state, params=z)
        step, base_state = base.update(g, base_state, params=z)
        output, own = h.update(g, own, params=z)
        torch.testing.assert_close(update["a"], step["a"] + 0.1 * torch.tanh(output["a"] / 0.1))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_the_limit_must_be_positive(limit: float) -> None:
    with pytest.raises(ConfigurationError, match="BoundedResidual's limit"):
        learned.BoundedResidual(Stay(), base=Stay(), limit=limit)
