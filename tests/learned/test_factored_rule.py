import copy
import io

import pytest
import torch
from torch import nn

import bilevel
from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import Gradient
from tasks.memory import peak_memory

M = 4


def pair() -> tuple[learned.MLP, learned.MLP]:
    """Return a rule and the same one factored."""
    plain = learned.MLP(M).double()
    other = copy.deepcopy(plain)
    learned.factored(other)
    return plain, other


def loss_of(rule: learned.MLP, z: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    update, _ = rule.update(g, rule.init(z), params=z)
    return (update - 1).square().sum()


def test_a_factored_rule_says_the_same_and_has_as_many_parameters() -> None:
    plain, other = pair()
    z, g = torch.randn(2, M, dtype=torch.float64)
    assert torch.equal(plain.update(g, plain.init(z), params=z)[0], other.update(g, other.init(z), params=z)[0])
    assert [(n, p.shape) for n, p in plain.named_parameters()] == [(n, p.shape) for n, p in other.named_parameters()]


def test_the_weights_gradient_is_the_outer_product_of_the_biases_and_the_input() -> None:
    plain, other = pair()
    z, g = torch.randn(2, M, dtype=torch.float64)
    loss_of(plain, z, g).backward()
    loss_of(other, z, g).backward()
    for one, two in zip(plain.network, other.network, strict=True):
        if isinstance(one, nn.Linear):
            assert two.weight.grad is None
            product = torch.outer(two.bias.grad, two.take_input())
            torch.testing.assert_close(product, one.weight.grad, rtol=1e-12, atol=1e-15)
        else:
            torch.testing.assert_close(two.weight.grad, one.weight.grad, rtol=1e-12, atol=1e-15)


def test_the_first_step_is_adams() -> None:
    plain, other = pair()
    z, g = torch.randn(2, M, dtype=torch.float64)
    adam = torch.optim.Adam(plain.parameters(), lr=0.01, eps=1e-15)
    for rule, optimizer in ((plain, adam), (other, learned.FactoredAdam(other, 0.01, epsilon=1e-15))):
        loss_of(rule, z, g).backward()
        optimizer.step()
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-9)


def test_while_the_squares_keep_their_proportions_the_second_moment_is_exact() -> None:
    # One layer, gradients k * outer(δ, x): V is the weighted mean of k² times one matrix, of rank one.
    layer = nn.Linear(3, 2).double()
    plain = copy.deepcopy(layer)
    rule = nn.Sequential(layer)
    learned.factored(rule)
    optimizer = learned.FactoredAdam(rule, 0.1, decay=0.9, epsilon=1e-15)
    exact = torch.optim.Adam(plain.parameters(), lr=0.1, betas=(0.0, 0.9), eps=1e-15)
    x, slope = torch.randn(1, 3, dtype=torch.float64), torch.randn(1, 2, dtype=torch.float64)
    for k in (1.0, -3.0, 0.5, 2.0):
        for network, one in ((rule, optimizer), (plain, exact)):
            one.zero_grad()
            (k * slope * network(x)).sum().backward()
            one.step()
    torch.testing.assert_close(rule[0].weight, plain.weight, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(rule[0].bias, plain.bias, rtol=1e-10, atol=1e-12)


def test_the_kept_moments_are_the_means_of_adams_rows_and_columns() -> None:
    layer = nn.Linear(3, 2).double()
    rule = nn.Sequential(layer)
    learned.factored(rule)
    optimizer = learned.FactoredAdam(rule, 0.1, decay=0.9)
    moment = torch.zeros(2, 3, dtype=torch.float64)
    for _ in range(5):
        x, slope = torch.randn(1, 3, dtype=torch.float64), torch.randn(1, 2, dtype=torch.float64)
        optimizer.zero_grad()
        (slope * rule(x)).sum().backward()
        optimizer.step()
        moment = 0.9 * moment + 0.1 * torch.outer(slope[0], x[0]).square()
    state = optimizer.state[rule[0].bias]
    torch.testing.assert_close(state["rows"], moment.mean(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(state["columns"], moment.mean(0), rtol=1e-12, atol=0)


def test_zeros_stay_where_they_are() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    rule = nn.Sequential(layer)
    learned.factored(rule)
    optimizer = learned.FactoredAdam(rule, 0.1)
    for factor in (0.0, 1.0):
        optimizer.zero_grad()
        (factor * rule(torch.tensor([[0.0, 1e-30, 1.0]]))[0, 0]).backward()
        optimizer.step()
    change = layer.weight - before
    assert torch.isfinite(change).all()
    assert change[1].count_nonzero() == 0
    assert change[0, 0] == 0
    torch.testing.assert_close(change[0, 2], torch.tensor(-0.1 * 2**0.5), rtol=0.01, atol=0)


def test_it_is_trained_by_the_solver_and_lowers_the_loss_of_its_answers() -> None:
    class Distance(bilevel.FollowerTask[None, torch.Tensor]):
        def __init__(self) -> None:
            super().__init__(None)

        def start(self, batch):
            return torch.zeros(M)

        def follower_loss(self, batch, z):
            return (z - batch).square().sum()

    rule = learned.MLP(M)
    learned.factored(rule)
    solver = bilevel.Solver(Distance(), rule, rule_optimizer=learned.FactoredAdam(rule, 1e-2))
    target = torch.tensor([1.0, -2.0, 0.5, 3.0])
    losses = [float(solver.step(target).follower_loss) for _ in range(400)]
    assert losses[-1] < 0.01 * losses[0]


def test_no_tensor_of_the_size_of_a_weight_is_made() -> None:
    rule, m = learned.MLP(64), 64
    learned.factored(rule)
    optimizer = learned.FactoredAdam(rule, 1e-3)
    z, g = torch.randn(2, m)

    def step() -> None:
        loss_of(rule, z, g).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    weight = 4 * 32 * m**2  # bytes of the largest
    assert peak_memory(step) < weight / 10


def test_a_saved_optimizer_goes_on_bit_for_bit() -> None:
    _, rule = pair()
    optimizer = learned.FactoredAdam(rule, 0.01)
    draws = torch.randn(4, 2, M, dtype=torch.float64)

    def step(one: learned.MLP, by: learned.FactoredAdam, z: torch.Tensor, g: torch.Tensor) -> None:
        by.zero_grad()
        loss_of(one, z, g).backward()
        by.step()

    for z, g in draws[:2]:
        step(rule, optimizer, z, g)
    file = io.BytesIO()
    torch.save((rule.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    _, again = pair()
    other = learned.FactoredAdam(again, 0.5)
    again.load_state_dict(weights)
    other.load_state_dict(state)
    for z, g in draws[2:]:
        step(rule, optimizer, z, g)
        step(again, other, z, g)
    assert all(torch.equal(a, b) for a, b in zip(rule.parameters(), again.parameters(), strict=True))


def test_two_uses_a_step_are_refused() -> None:
    _, rule = pair()
    optimizer = learned.FactoredAdam(rule)
    z, g = torch.randn(2, M, dtype=torch.float64)
    (loss_of(rule, z, g) + loss_of(rule, z, g)).backward()
    with pytest.raises(ConfigurationError, match=r"was used 2 times before its optimizer's step.*steps=1"):
        optimizer.step()


def test_a_use_without_a_graph_does_not_count() -> None:
    _, rule = pair()
    other = copy.deepcopy(rule)
    optimizer, same = learned.FactoredAdam(rule), learned.FactoredAdam(other)
    z, g = torch.randn(2, M, dtype=torch.float64)
    with torch.no_grad():
        loss_of(rule, z, g)
    loss_of(rule, z, g).backward()
    optimizer.step()
    loss_of(other, z, g).backward()
    same.step()
    for mine, theirs in zip(rule.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_what_cannot_be_factored_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no linear layer"):
        learned.factored(nn.Sequential(nn.PReLU()))
    with pytest.raises(ConfigurationError, match="needs a layer with a bias"):
        learned.factored(nn.Sequential(nn.Linear(2, 2, bias=False)))
    with pytest.raises(ConfigurationError, match="has no factored layer: call bilevel"):
        learned.FactoredAdam(learned.MLP(2))
    coordinatewise = learned.MLP(1, (3,))
    learned.factored(coordinatewise)
    with pytest.raises(ConfigurationError, match="works on one sample"):
        coordinatewise.update(torch.zeros(5), coordinatewise.init(torch.zeros(5)), params=torch.zeros(5))
    with pytest.raises(ConfigurationError, match="takes no closure"):
        learned.FactoredAdam(pair()[1]).step(lambda: 0.0)


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"decay": 1.0}, {"epsilon": 0.0}, {"lr": float("nan")}])
def test_settings_out_of_range_are_refused(settings) -> None:
    with pytest.raises(ConfigurationError, match="FactoredAdam got"):
        learned.FactoredAdam(pair()[1], **settings)


def test_it_may_correct_another_rule() -> None:
    _, rule = pair()
    corrected = learned.BoundedResidual(rule, base=Gradient(0.5), limit=0.1)
    optimizer = learned.FactoredAdam(corrected, 0.01)
    before = [p.detach().clone() for p in rule.parameters()]
    z, g = torch.randn(2, M, dtype=torch.float64)
    corrected.update(g, corrected.init(z), params=z)[0].sum().backward()
    optimizer.step()
    assert all((a != b).any() for a, b in zip(rule.parameters(), before, strict=True))
