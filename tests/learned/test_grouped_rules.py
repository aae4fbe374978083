import pytest
import torch
import torchopt

from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient


@pytest.fixture
def z() -> dict:
    return {"fc.weight": torch.zeros(2, 3), "conv1.weight": torch.zeros(1, 1, 3, 3), "conv1.bias": torch.zeros(1)}


def ones(tree: dict) -> dict:
    return {name: torch.ones_like(leaf) for name, leaf in tree.items()}


def test_each_tensor_goes_to_the_first_pattern_that_matches(z: dict) -> None:
    # The order of the patterns is not the order of the tensors, which dicts hold by name.
    rule = learned.Grouped(
        {"fc*": torchopt.sgd(3.0), "*.bias": SignGradient(1.0), "conv*": SignGradient(2.0)},
    )
    updates, _ = rule.update(ones(z), rule.init(z), params=z)
    assert {name: leaf.unique().item() for name, leaf in updates.items()} == {
        "conv1.bias": -1.0,
        "conv1.weight": -2.0,
        "fc.weight": -3.0,
    }
    assert [updates[name].shape for name in z] == [leaf.shape for leaf in z.values()]


def test_nested_dicts_have_the_same_names(z: dict) -> None:
    rule = learned.Grouped({"conv1.*": SignGradient(1.0), "fc.weight": SignGradient(2.0)})
    nested = {"fc": {"weight": z["fc.weight"]}, "conv1": {"weight": z["conv1.weight"], "bias": z["conv1.bias"]}}
    updates, _ = rule.update({k: ones(v) for k, v in nested.items()}, rule.init(nested), params=nested)
    assert updates["conv1"]["bias"].item() == -1.0
    assert updates["fc"]["weight"].unique().item() == -2.0


def test_a_group_has_the_rule_and_the_state_of_its_own(z: dict) -> None:
    torch.manual_seed(0)
    conv, rest = learned.LSTM(3), learned.LSTM(4)
    rule = learned.Grouped({"conv*": conv, "*": rest})
    assert len(list(rule.parameters())) == len(list(conv.parameters())) + len(list(rest.parameters()))
    state = rule.init(z)
    gradient = {name: torch.randn_like(leaf) for name, leaf in z.items()}
    updates, state = rule.update(gradient, state, params=z)
    assert [state[p]["cells"][0][0].shape for p in ("conv*", "*")] == [(10, 3), (6, 4)]
    alone, _ = rest.update(gradient["fc.weight"], rest.init(z["fc.weight"]), params=z["fc.weight"])
    assert torch.equal(updates["fc.weight"], alone)


def test_a_tensor_without_a_rule_is_an_error(z: dict) -> None:
    with pytest.raises(ConfigurationError, match=r"no rule for 'fc.weight'"):
        learned.Grouped({"conv*": SignGradient(1.0)}).init(z)


def test_a_pattern_without_a_tensor_is_an_error(z: dict) -> None:
    with pytest.raises(ConfigurationError, match=r"'deconv\*' gets no tensor"):
        learned.Grouped({"deconv*": SignGradient(1.0), "*": SignGradient(1.0)}).init(z)
    with pytest.raises(ConfigurationError, match=r"'conv\*' gets no tensor"):
        learned.Grouped({"*": SignGradient(1.0), "conv*": SignGradient(1.0)}).init(z)


def test_no_pattern_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        learned.Grouped({})


def test_it_sees_the_gradient_if_a_group_does() -> None:
    blind = learned.LSTM(inputs=(learned.Iterate(),))
    assert not learned.Grouped({"*": blind}).sees_gradient
    assert learned.Grouped({"a": SignGradient(1.0), "*": blind}).sees_gradient
