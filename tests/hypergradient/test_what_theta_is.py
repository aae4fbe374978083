"""θ in the start, in the rule, and beside a rule that learns; rules that are differentiated at a zero gradient."""

from __future__ import annotations

import pytest
import torch
import torchopt
from problems import LinearRule, Quadratic, Saddle, Tracking, hypergradient_of, sgd
from torch import nn

import bilevel
from bilevel import ConfigurationError, FollowerFirst, LeaderFirst, Simultaneous, Solver, TaskError, Truncated, Unrolled


class Initial(bilevel.Task):
    """MAML: the follower begins at θ and its loss does not know θ otherwise; q = ½zᵀHz, z_K = (I - hH)^K θ."""

    def __init__(self):
        self.inner = Quadratic()
        super().__init__(nn.Parameter(torch.ones(4, dtype=torch.float64)))

    def start(self, batch):
        return self.leader

    def follower_loss(self, batch, z):
        return 0.5 * z @ self.inner.h @ z

    def leader_loss(self, batch, z):
        return 0.5 * (z - 3).square().sum()


@pytest.mark.parametrize("method", [Unrolled(), bilevel.Checkpointed()])
def test_a_start_that_is_the_leader_is_differentiated(method):
    task = Initial()
    power = task.inner.contraction(5, 0.2)
    found = hypergradient_of(task, method, torchopt.sgd(0.2), 5)
    torch.testing.assert_close(found, power @ (power @ torch.ones(4).double() - 3), rtol=0, atol=1e-11)
    truncated = Solver(task, torchopt.sgd(0.2), steps=5, leader_optimizer=sgd(task.leader), hypergradient=Truncated(2))
    with pytest.raises(TaskError, match="depends on no parameter of the leader"):
        truncated.step(None)  # the start is a constant for it


class Learning(bilevel.Task):
    """The leader is the rule: q = ½zᵀHz for z from (1, ..., 1), ℓ = q at the answer."""

    def __init__(self, rule, curvatures):
        super().__init__(rule)
        self.curvatures = curvatures

    def start(self, batch):
        return torch.ones_like(self.curvatures)

    def follower_loss(self, batch, z):
        return 0.5 * (self.curvatures * z.square()).sum()

    leader_loss = follower_loss


@pytest.mark.parametrize("method", [Unrolled(), bilevel.Checkpointed(2)])
def test_a_rule_that_leads_learns_through_its_own_updates(method):
    """z_K = (1 + ac)^K, so that dℓ/da = Σ c (1 + ac)^(2K-1) K c, second derivatives and all."""
    c, a, steps = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64), -0.15, 5
    rule = LinearRule(a)
    solver = Solver(
        Learning(rule, c), rule, steps=steps, leader_optimizer=sgd(rule.parameters(), 1.0), hypergradient=method
    )
    record = solver.step(None)
    wanted = (steps * c.square() * (1 + a * c) ** (2 * steps - 1)).sum()
    assert a - rule.a.item() == pytest.approx(wanted.item(), abs=1e-12)
    assert record.rule_gradient_norm is None


def test_a_rule_cannot_be_moved_twice():
    rule = LinearRule()
    with pytest.raises(ConfigurationError, match="moved by the leader_optimizer and by the rule_optimizer"):
        Solver(
            Learning(rule, torch.ones(2).double()),
            rule,
            leader_optimizer=sgd(rule.parameters()),
            rule_optimizer=sgd(rule.parameters()),
            hypergradient=Unrolled(),
        )


@pytest.mark.parametrize("play", [Simultaneous(), FollowerFirst(same_answer=True)])
@pytest.mark.parametrize("make_task", [Tracking, Saddle])
def test_beside_an_unrolled_leader_the_rule_gets_the_exact_derivative(make_task, play):
    """φ's gradient goes through the gradients that it sees, and θ's is what it is without a learning rule."""
    task, rule = make_task(), LinearRule(-0.3, 0.1)
    theta, z = task.leader.detach().clone().requires_grad_(), task.c
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (-0.3, 0.1))
    twin = make_task()
    twin.leader = theta
    for _ in range(3):
        if not z.requires_grad:
            z = z.clone().requires_grad_()
        (g,) = torch.autograd.grad(twin.follower_loss(None, z), [z], create_graph=True)
        z = z + a * g + b * z
    wanted = torch.autograd.grad(twin.follower_loss(None, z), [a, b], retain_graph=True)
    (wanted_theta,) = torch.autograd.grad(twin.leader_loss(None, z), [theta])
    solver = Solver(
        task,
        rule,
        steps=3,
        leader_optimizer=sgd(task.leader),
        rule_optimizer=sgd(rule.parameters()),
        hypergradient=Unrolled(),
        play=play,
    )
    solver.step(None)
    found = -0.3 - rule.a.item(), 0.1 - rule.b.item()
    assert found == pytest.approx([g.item() for g in wanted], rel=1e-10)
    torch.testing.assert_close(theta.detach() - task.leader.detach(), wanted_theta, rtol=1e-10, atol=1e-10)


def test_training_a_rule_after_the_leader_has_spoilt_its_graph_is_refused():
    task, rule = Tracking(), LinearRule()
    with pytest.raises(ConfigurationError, match=r"LeaderFirst\(same_answer=True\) trains φ on an answer after"):
        Solver(
            task,
            rule,
            leader_optimizer=sgd(task.leader),
            rule_optimizer=sgd(rule.parameters()),
            hypergradient=Unrolled(),
            play=LeaderFirst(same_answer=True),
        )


@pytest.mark.parametrize(
    "rule",
    [
        torchopt.adam(0.1),
        torchopt.rmsprop(0.1),
        torchopt.adamw(0.1),
        bilevel.rules.Sum(torchopt.adam(0.1), torchopt.sgd(0.0)),
    ],
    ids=["adam", "rmsprop", "adamw", "in a sum"],
)
def test_adaptive_rules_are_differentiated_at_an_exactly_zero_gradient(rule):
    """z_1 = -0.1 m̂/(√v̂ + ε) with m̂ = g and v̂ = g² (rmsprop: 0.1 g²) has the slope -0.1/ε dg/dθ at g = 0."""

    class Zero(bilevel.Task):
        def start(self, batch):
            return torch.zeros(2, dtype=torch.float64)

        def follower_loss(self, batch, z):
            return 0.5 * (z - self.leader * torch.tensor([1.0, 2.0])).square().sum()

        def leader_loss(self, batch, z):
            return z.sum()

    found = hypergradient_of(Zero(nn.Parameter(torch.tensor(0.0, dtype=torch.float64))), Unrolled(), rule, 1)
    # TorchOpt corrects the bias in single precision.
    assert found.item() == pytest.approx(0.1 * 3 / 1e-8, rel=1e-6)
