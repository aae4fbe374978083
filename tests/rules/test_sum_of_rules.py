import pytest
import torch
import torchopt
from jaxtyping import TypeCheckError
from torch import nn

from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient, Sum
from bilevel.tree import leaves


def test_the_updates_are_added() -> None:
    torch.manual_seed(0)
    members = [SignGradient(0.1), torchopt.adam(0.3), learned.LSTM(4).double()]
    rule = Sum(*members)
    z = {"a": torch.randn(3, dtype=torch.float64), "b": torch.randn(2, 2, dtype=torch.float64)}
    state, apart = rule.init(z), [member.init(z) for member in members]
    for _ in range(3):
        gradient = {name: torch.randn_like(leaf) for name, leaf in z.items()}
        total, state = rule.update(gradient, state, params=z)
        answers = [m.update(gradient, s, params=z, inplace=False) for m, s in zip(members, apart, strict=True)]
        apart = [after for _, after in answers]
        for name in z:
            torch.testing.assert_close(total[name], sum(u[name] for u, _ in answers), rtol=1e-14, atol=0)


def test_a_zero_last_layer_begins_as_the_hand_written_rule() -> None:
    correction = learned.Convolutional(1, learned.Small(width=4, zero_last=True), scale=0.2)
    rule, z = Sum(SignGradient(0.1), correction), torch.rand(2, 1, 4, 4)
    gradient = torch.randn_like(z)
    assert torch.equal(rule.update(gradient, rule.init(z), params=z)[0], -0.1 * gradient.sign())


def test_the_learned_members_are_registered_once_and_under_their_place() -> None:
    inner = learned.MLP(2)
    rule = Sum(SignGradient(0.1), inner, torchopt.sgd(0.1))
    assert list(map(id, rule.parameters())) == list(map(id, inner.parameters()))
    assert all(name.startswith("_learned.1.network.") for name in rule.state_dict())
    other = Sum(SignGradient(0.1), learned.MLP(2), torchopt.sgd(0.1))
    other.load_state_dict(rule.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(rule.parameters(), other.parameters(), strict=True))


def test_it_sees_the_gradient_if_a_member_does() -> None:
    blind = [learned.MLP(2, inputs=(learned.Iterate(),)) for _ in range(2)]
    assert not Sum(*blind).sees_gradient
    assert Sum(*blind, torchopt.sgd(0.1)).sees_gradient


def test_sums_nest_and_follow_the_mode() -> None:
    network = learned.Convolutional(1, learned.Small(width=2), scale=1.0)
    rule = Sum(Sum(SignGradient(0.1), network), SignGradient(0.2)).eval()
    assert not network.training
    assert isinstance(rule, nn.Module)
    z = torch.rand(1, 1, 3, 3)
    assert leaves(rule.update(z, rule.init(z), params=z)[0])[0].shape == z.shape


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        Sum()
    with pytest.raises(ConfigurationError, match="is no rule"):
        Sum(SignGradient(0.1), SignGradient)  # the class, not a rule
    for wrong in (nn.Linear(1, 1), 3):
        # The executed annotations see what is no rule before the sum does.
        with pytest.raises((ConfigurationError, TypeCheckError), match="rule"):
            Sum(SignGradient(0.1), wrong)
