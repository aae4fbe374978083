"""What holds for every rule: hand-written, TorchOpt's, learned, and those made of others."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optree
import pytest
import torch
import torchopt
from torch import Tensor, nn

from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import Adam, Flattened, Gradient, Guarded, Momentum, Rule, SignGradient, Stay, Sum, sees_gradient
from bilevel.tree import add, leaves, tree_map


def vectors(dtype: torch.dtype = torch.float64) -> list[Any]:
    """Trees for a rule that takes any shape."""
    nested = {
        "conv.weight": torch.randn(2, 1, 2, 2, dtype=dtype),
        "fc": {"bias": torch.randn(3, dtype=dtype), "scale": torch.randn((), dtype=dtype)},
    }
    return [torch.randn((), dtype=dtype), torch.randn(4, 3, dtype=dtype), nested]


def images(dtype: torch.dtype = torch.float64) -> list[Any]:
    """Trees for a rule that takes images of one channel, of even and odd size."""
    batch = torch.rand(3, 1, 4, 4, dtype=dtype)
    return [batch, (torch.rand(2, 1, 5, 3, dtype=dtype), [torch.rand(3, 1, 4, 4, dtype=dtype)])]


def fives(dtype: torch.dtype = torch.float64) -> list[Any]:
    """Trees for a rule that takes five numbers at once."""
    split = {"a": torch.randn(2, 2, dtype=dtype), "b": torch.randn(1, dtype=dtype)}
    return [torch.randn(5, dtype=dtype), torch.randn(3, 5, dtype=dtype), split]


def named(dtype: torch.dtype = torch.float64) -> list[Any]:
    """Trees with names for `Grouped`."""
    conv, fc = torch.randn(2, 1, 2, 2, dtype=dtype), torch.randn(3, dtype=dtype)
    return [{"fc.bias": fc, "conv1.weight": conv}, {"conv1": {"weight": conv}, "fc": {"bias": fc}}]


@dataclass(frozen=True)
class Case:
    make: Callable[[], Any]
    trees: Callable[..., list[Any]]


ALL_INPUTS = (
    learned.Iterate(),
    learned.Start(),
    learned.Displacement(),
    learned.Direction(learned.SampleRMS()),
    learned.LastDirection(learned.LogSign()),
    learned.Direction(learned.Sign()),
    learned.Noise(0.1),
)


def small(**settings: Any) -> learned.Convolutional:
    return learned.Convolutional(1, learned.Small(width=4, **settings.pop("network", {})), scale=0.2, **settings)


WRITTEN = {
    "sign": Case(lambda: SignGradient(0.1), vectors),
    "gradient": Case(lambda: Gradient(0.1), vectors),
    "momentum": Case(lambda: Momentum(0.1), vectors),
    "own adam": Case(lambda: Adam(0.1), vectors),
    "flattened": Case(lambda: Flattened(torchopt.adam(0.1)), vectors),
    "sgd": Case(lambda: torchopt.sgd(0.1, momentum=0.9), vectors),
    "adam": Case(lambda: torchopt.adam(0.1), vectors),
}
LEARNED = {
    "small": Case(small, images),
    "small skip": Case(lambda: small(network={"skip": True}), images),
    "small zero": Case(lambda: small(network={"zero_last": True}), images),
    "small naive": Case(lambda: small(inputs=learned.NAIVE), images),
    "small grad only": Case(lambda: small(inputs=learned.GRAD_ONLY), images),
    "small all inputs": Case(lambda: small(inputs=ALL_INPUTS), images),
    "wide": Case(lambda: learned.Convolutional(1, learned.Wide(), scale=0.2), images),
    "wide tapered": Case(lambda: learned.Convolutional(1, learned.Wide(tapered=True), scale=0.2), images),
    "slim": Case(lambda: learned.Convolutional(1, learned.Slim(), scale=0.2), images),
    "mlp": Case(lambda: learned.MLP(5), fives),
    "mlp zero": Case(lambda: learned.MLP(5, (6,), zero_last=True), fives),
    "mlp all inputs": Case(lambda: learned.MLP(5, (7, 6), inputs=ALL_INPUTS), fives),
    "mlp of one coordinate": Case(lambda: learned.MLP(1), vectors),
    "lstm": Case(learned.LSTM, vectors),
    "lstm all inputs": Case(lambda: learned.LSTM(5, 3, inputs=ALL_INPUTS), vectors),
    "grouped": Case(lambda: learned.Grouped({"conv*": learned.LSTM(4), "*": learned.LSTM(3)}), named),
    "lstm zero": Case(lambda: learned.LSTM(4, zero_last=True), vectors),
    "low rank": Case(lambda: learned.LowRank(learned.MLP(2), size=5, rank=2), lambda *dtype: fives(*dtype)[::2]),
    "bounded residual": Case(lambda: learned.BoundedResidual(learned.MLP(1), base=Stay(), limit=0.1), vectors),
    "guarded": Case(lambda: Guarded(learned.MLP(1), limit=1e3), vectors),
    "multistep": Case(lambda: learned.Multistep(3, 4), vectors),
    "multistep without a network": Case(lambda: learned.Multistep(3, 0), vectors),
    "sum of learned": Case(lambda: Sum(learned.MLP(1), learned.LSTM(3)), vectors),
}
MIXED = {
    "sum": Case(lambda: Sum(SignGradient(0.1), torchopt.adam(0.1), learned.LSTM(3)), vectors),
    "corrected momentum": Case(
        lambda: learned.BoundedResidual(learned.LSTM(3, zero_last=True), base=Momentum(0.1), limit=0.1), vectors
    ),
    "grouped mixed": Case(lambda: learned.Grouped({"conv*": learned.LSTM(3), "*": torchopt.sgd(0.1)}), named),
}
CASES = WRITTEN | LEARNED | MIXED
every_rule = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
FIRST_ORDER = {name: case for name, case in LEARNED.items() if not name.startswith("multistep")}
every_first_order_rule = pytest.mark.parametrize("case", FIRST_ORDER.values(), ids=FIRST_ORDER)
every_learned_rule = pytest.mark.parametrize("case", LEARNED.values(), ids=LEARNED)


def build(case: Case, dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    rule = case.make()
    return rule.to(dtype) if isinstance(rule, nn.Module) else rule


def gradient_like(z: Any) -> Any:
    return tree_map(torch.randn_like, z)


def moved(rule: Any, z: Any, gradients: list[Any]) -> tuple[Any, Any]:
    """Return where the rule takes ``z`` and its last state."""
    state = rule.init(z)
    for gradient in gradients:
        updates, state = rule.update(gradient, state, params=z, inplace=False)
        z = add(z, updates)
    return z, state


def same(one: Any, other: Any) -> bool:
    return optree.tree_structure(one) == optree.tree_structure(other) and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(leaves(one), leaves(other), strict=True)
    )


@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_updates_have_the_structure_shapes_and_dtype_of_the_iterate(case: Case, dtype: torch.dtype) -> None:
    rule = build(case, dtype)
    assert isinstance(rule, Rule)
    for z in case.trees(dtype):
        state = rule.init(z)
        for _ in range(2):
            updates, after = rule.update(gradient_like(z), state, params=z, inplace=False)
            assert optree.tree_structure(updates) == optree.tree_structure(z)
            assert [(u.shape, u.dtype) for u in leaves(updates)] == [(a.shape, a.dtype) for a in leaves(z)]
            assert optree.tree_structure(after) == optree.tree_structure(state)
            state = after


@every_rule
def test_nothing_is_changed_in_place(case: Case) -> None:
    rule = build(case)
    for z in case.trees():
        with torch.no_grad():
            state, gradient = rule.init(z), gradient_like(z)
            _, state = rule.update(gradient, state, params=z, inplace=False)
            before = copy.deepcopy((z, gradient, state))
            rule.update(gradient, state, params=z, inplace=False)
        assert same((z, gradient, state), before)


@every_rule
def test_the_state_shares_no_storage_with_the_iterate(case: Case) -> None:
    rule = build(case)
    for z in case.trees():
        state = rule.init(z)
        before = copy.deepcopy(state)
        for leaf in leaves(z):
            leaf.add_(1)
        assert same(state, before)


@every_rule
def test_equal_seeds_give_equal_results_and_so_does_a_copy(case: Case) -> None:
    rule, again = build(case), build(case)
    for z in case.trees():
        gradients = [gradient_like(z), gradient_like(z)]
        answers = []
        for one in (rule, again, copy.deepcopy(again)):
            torch.manual_seed(1)
            with torch.no_grad():
                answers.append(moved(one, z, gradients)[0])
        assert same(answers[0], answers[1])
        if not isinstance(rule, nn.Module) or not any(isinstance(m, nn.BatchNorm2d) for m in rule.modules()):
            assert same(answers[0], answers[2])


@every_rule
def test_a_saved_state_goes_on_as_if_it_had_not_been_saved(case: Case) -> None:
    rule = build(case)
    if isinstance(rule, nn.Module):
        rule.eval()
    for z in case.trees():
        with torch.no_grad():
            _, state = moved(rule, z, [gradient_like(z)])
            # TorchOpt's states are named tuples of its own; their tensors are what a checkpoint can hold.
            whole = case in LEARNED.values()
            file = io.BytesIO()
            torch.save(state if whole else leaves(state), file)
            file.seek(0)
            found = torch.load(file, weights_only=True)
            loaded = found if whole else optree.tree_unflatten(optree.tree_structure(state), found)
            gradient = gradient_like(z)
            torch.manual_seed(2)
            expected, _ = rule.update(gradient, state, params=z, inplace=False)
            torch.manual_seed(2)
            got, _ = rule.update(gradient, loaded, params=z, inplace=False)
        assert same(got, expected)


@every_rule
def test_a_zero_gradient_gives_finite_updates_and_derivatives(case: Case) -> None:
    rule = build(case)
    for z in case.trees():
        answer, _ = moved(rule, z, [tree_map(torch.zeros_like, z)] * 2)
        assert all(torch.isfinite(leaf).all() for leaf in leaves(answer))
        if case in LEARNED.values():
            total = sum(leaf.square().sum() for leaf in leaves(answer))
            derivatives = torch.autograd.grad(total, list(rule.parameters()), allow_unused=True)
            assert all(torch.isfinite(d).all() for d in derivatives if d is not None)


@every_rule
def test_without_grad_mode_there_is_no_graph(case: Case) -> None:
    rule = build(case)
    for z in case.trees():
        with torch.no_grad():
            answer, state = moved(rule, z, [gradient_like(z)])
        assert not any(leaf.requires_grad for leaf in leaves((answer, state)))


@every_learned_rule
def test_every_parameter_learns(case: Case) -> None:
    # Three updates, because a recurrent weight sees zeros in the first or the second; a step of SGD first, because
    # nothing before a last layer of zeros has a derivative until that has moved; evaluation mode, because a batch
    # norm in training mode takes away the bias of the convolution before it; and an update in training mode
    # before that, because a batch norm that has seen nothing hands a PReLU no negative number after a ReLU.
    rule = build(case)
    z = case.trees()[-1]
    moved(rule, z, [gradient_like(z)])
    rule.eval()
    gradients, target = [gradient_like(z) for _ in range(3)], gradient_like(z)
    parameters = dict(rule.named_parameters())
    for _ in range(2):
        answer, _ = moved(rule, z, gradients)
        total = sum((a - t).square().sum() for a, t in zip(leaves(answer), leaves(target), strict=True))
        derivatives = torch.autograd.grad(total, list(parameters.values()))
        with torch.no_grad():
            for parameter, derivative in zip(parameters.values(), derivatives, strict=True):
                parameter.sub_(derivative, alpha=1e-3)
    assert [name for name, d in zip(parameters, derivatives, strict=True) if not (d.abs().max() > 1e-12)] == []


@every_learned_rule
def test_parameters_given_from_outside_give_the_same_updates(case: Case) -> None:
    rule = build(case).eval()
    z = case.trees()[0]
    gradient, state = gradient_like(z), rule.init(z)
    torch.manual_seed(3)
    expected, _ = rule.update(gradient, state, params=z)
    torch.manual_seed(3)
    own = {name: parameter.detach().clone() for name, parameter in rule.named_parameters()}
    got, _ = torch.func.functional_call(rule, own, (gradient, state), {"params": z})
    assert same(tree_map(Tensor.detach, expected), got)


@every_first_order_rule
def test_the_gradient_is_a_constant(case: Case) -> None:
    rule = build(case)
    z = case.trees()[0]
    gradient = tree_map(lambda leaf: torch.randn_like(leaf).requires_grad_(), z)
    answer, _ = moved(rule, z, [gradient, gradient])
    total = sum(leaf.sum() for leaf in leaves(answer))
    assert all(d is None for d in torch.autograd.grad(total, leaves(gradient), allow_unused=True))


@every_learned_rule
def test_a_rule_blind_to_the_gradient_says_so(case: Case) -> None:
    rule = build(case).eval()
    z = case.trees()[0]
    answers = []
    for gradient in (gradient_like(z), gradient_like(z)):
        torch.manual_seed(4)
        answers.append(moved(rule, z, [gradient, gradient])[0])
    zero = any(
        name in {"small zero", "mlp zero", "lstm zero", "low rank"} for name, one in LEARNED.items() if one is case
    )
    assert same(*answers) == (zero or not sees_gradient(rule))


@every_learned_rule
def test_the_iterate_must_be_given_in_the_precision_of_the_rule(case: Case) -> None:
    rule = build(case)
    z = case.trees(torch.float64)[0]
    with pytest.raises(ConfigurationError, match="params=the iterate"):
        rule.update(z, rule.init(z))
    low = tree_map(Tensor.float, z)
    with pytest.raises(ConfigurationError, match=r"rule\.to\(torch\.float32\)"):
        rule.update(low, rule.init(low), params=low)
    with pytest.raises(ConfigurationError, match="for an iterate of shapes"):
        rule.update(tree_map(lambda leaf: leaf[None], z), rule.init(z), params=z)
