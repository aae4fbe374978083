"""TRADES and stability training against their formulas."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.learned import Small
from bilevel.play import Simultaneous
from bilevel.starts import Center, Gaussian, Uniform
from tasks.vision.data import ImageBatch
from tasks.vision.games import Terms, Trades, TradesClassification
from tasks.vision.games.divergence import divergence
from tasks.vision.games.trades import START
from tasks.vision.methods import L2L, METHODS, SignSteps, Stability
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import EvalModeNorm

EPS = 0.2


def batch(n=6):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=torch.float64), torch.arange(n) % 10)


def warm():
    """Return a classifier whose running statistics are not those of a batch."""
    model = SmallConvNet(width=3).double()
    model(torch.rand(50, 1, 8, 8, dtype=torch.float64))
    return model


def solver_of(method, model, lr=1.0):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return method.solver(model, eps=EPS, channels=1, samples=64, leader_optimizer=optimizer)


def divergence_by_hand(wanted, logits):
    p, q = wanted.softmax(1), logits.softmax(1)
    return (p * (p.log() - q.log())).sum(1).mean()


def test_the_divergence_is_the_sum_of_p_log_p_over_q():
    a, b = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(divergence(a, b), divergence_by_hand(a, b))
    half, quarter = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[1.0, 3.0]], dtype=torch.float64).log()
    exact = 0.5 * torch.tensor(0.5 / 0.25).log() + 0.5 * torch.tensor(0.5 / 0.75).log()
    torch.testing.assert_close(divergence(half, quarter), exact.double())
    assert divergence(a, a) == 0


def test_the_divergence_of_half_precision_logits_is_not_taken_in_half_precision():
    logits = 3 * torch.randn(64, 10)
    wanted, found = logits.bfloat16(), (logits + 0.02 * torch.randn_like(logits)).bfloat16()
    exact = divergence_by_hand(wanted.double(), found.double()).float()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(divergence(wanted, found), exact, rtol=1e-4, atol=0)


def test_both_losses_of_trades():
    model, b = warm().eval(), batch()
    z = torch.rand_like(b.x)
    task = TradesClassification(model, Terms(EPS), beta=3.0)
    distance = divergence_by_hand(model(b.x), model(z))
    expected = functional.cross_entropy(model(b.x), b.y) + 3 * distance
    for leader, follower in [(task.leader_loss(b, z), task.follower_loss(b, z)), task.losses(b, z)]:
        torch.testing.assert_close(leader, expected)
        torch.testing.assert_close(follower, -distance)


def test_a_step_of_trades_is_the_plain_loop():
    """The attack in evaluation mode against a constant; then both predictions in training mode, both differentiated."""
    model, b = warm(), batch()
    twin = copy.deepcopy(model)
    solver = solver_of(SignSteps(steps=3, step=0.5, start=Uniform(0.1), game=Trades(beta=6.0)), model)
    torch.manual_seed(5)
    record = solver.step(b)
    torch.manual_seed(5)
    z = (b.x + torch.empty_like(b.x).uniform_(-0.1 * EPS, 0.1 * EPS)).clamp(0, 1)
    twin.eval()
    clean = twin(b.x).detach()
    for _ in range(3):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(divergence_by_hand(clean, twin(z)), z)
        z = z.detach() + 0.5 * EPS * gradient.sign()
        z = (b.x + (z - b.x).clamp(-EPS, EPS)).clamp(0, 1)
    twin.train()
    natural, perturbed = twin(b.x), twin(z)
    loss = functional.cross_entropy(natural, b.y) + 6 * divergence_by_hand(natural, perturbed)
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=1.0).step()
    torch.testing.assert_close(record.leader_loss, loss.detach())
    for one, other in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    assert all(p.grad is None for p in model.parameters())


def test_the_constant_of_an_attack_is_that_of_the_classifier_as_it_is_then():
    model, b = warm(), batch()
    solver = solver_of(METHODS["trades"], model)
    solver.step(b)
    solver.follow(b)  # the classifier has moved since: the constant must have moved too
    model.eval()
    torch.testing.assert_close(solver.task._clean(b.x), model(b.x).detach())


def test_the_start_and_the_settings_of_the_authors():
    task = TradesClassification(warm(), Terms(0.031))
    assert isinstance(task.threat.begin, Gaussian)
    assert task.threat.begin.std == pytest.approx(0.001)
    assert (task.beta, task.norm) == (6.0, EvalModeNorm())
    assert METHODS["trades"].start == START


def test_trades_refuses_to_begin_where_its_gradient_is_0():
    with pytest.raises(ConfigurationError, match=r"clean image.*gradient.*is 0"):
        Trades().task(warm(), Terms(EPS, Center()))


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan")])
def test_beta_out_of_range(beta):
    for build in (lambda: Trades(beta), lambda: TradesClassification(warm(), Terms(EPS), beta=beta)):
        with pytest.raises(ConfigurationError, match="beta"):
            build()


def test_a_learned_attacker_plays_trades_in_one_pass_of_each_kind():
    """φ's gradient in simultaneous play is minus that of the divergence, with the clean prediction a constant."""
    model, b = warm(), batch()
    attacker = L2L(game=Trades(), network=Small(width=4), start=Uniform(0.5), play=Simultaneous())
    solver = solver_of(attacker, model)
    twin = copy.deepcopy(model)
    torch.manual_seed(1)
    found = solver.field(b).rule.gradient
    torch.manual_seed(1)
    model.load_state_dict(twin.state_dict())  # the running statistics, which the leader's pass has moved
    answer = solver.follow(b).answer
    distance = divergence_by_hand(twin(b.x).detach(), twin(answer))
    expected = torch.autograd.grad(-distance, list(solver.rule.parameters()))
    assert all(map(torch.allclose, found, expected))
    assert any(e.abs().max() > 1e-8 for e in expected)


# Stability training.


def test_a_step_of_stability_training_is_the_formula():
    model, b = warm(), batch()
    twin = copy.deepcopy(model)
    solver = solver_of(Stability(alpha=0.7, noise=0.3), model)
    torch.manual_seed(5)
    record = solver.step(b)
    torch.manual_seed(5)
    z = b.x + torch.empty_like(b.x).normal_(0, 0.3)
    assert z.min() < 0  # noise is not cut off
    assert (z - b.x).abs().max() > EPS
    natural, noisy = twin(b.x), twin(z)
    loss = functional.cross_entropy(natural, b.y) + 0.7 * divergence_by_hand(natural, noisy)
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=1.0).step()
    torch.testing.assert_close(record.leader_loss, loss.detach())
    for one, other in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    assert all(p.grad is None for p in model.parameters())
