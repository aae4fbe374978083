"""Checkpointed hypergradients where the rule is trained: as the leader, or beside it."""

from __future__ import annotations

import pytest
import torch
import torchopt
from problems import LinearRule, Quadratic, Saddle, Tracking, sgd
from torch import nn
from unrolled_again import RULES, SAME, STEPS, assert_same, gradient_of, solver_of

import bilevel
from bilevel import Checkpointed, Unrolled


class Learning(bilevel.Task):
    """A leader that is the rule: it learns to minimise a quadratic."""

    def __init__(self, rule):
        super().__init__(rule)
        self.inner = Quadratic()

    def start(self, batch):
        return self.inner.start(batch)

    def follower_loss(self, batch, z):
        return self.inner.follower_loss(batch, z)

    def leader_loss(self, batch, z):
        return self.inner.follower_loss(batch, z)


class Begin(nn.Module):
    """Momentum with a rate, a decay and a first velocity that can be learned."""

    def __init__(self):
        super().__init__()
        self.rate, self.decay, self.first = (nn.Parameter(torch.tensor(v).double()) for v in (-0.1, 0.5, 0.2))

    def init(self, params):
        return {"velocity": self.first * torch.ones_like(params), "nothing": None}

    def update(self, grads, state, *, params=None, inplace=False):
        velocity = self.decay * state["velocity"] + self.rate * grads
        return velocity, {"velocity": velocity, "nothing": None}


@pytest.mark.parametrize("rule", ["mlp", "lstm", "noise", "begin", "linear"])
def test_a_leader_that_is_the_rule(rule):
    rule = Begin() if rule == "begin" else LinearRule() if rule == "linear" else RULES[rule]()
    found = assert_same(Learning(rule), rule)
    assert len(found) == len(list(rule.parameters()))
    assert all(g.abs().max() > 0 for g in found)


@pytest.mark.parametrize("answers", [1, 2, 7, STEPS])
@pytest.mark.parametrize("segment", [None, 3, 25])
@pytest.mark.parametrize("rule", ["mlp", "lstm", "noise"])
def test_a_rule_that_leads_may_be_judged_by_several_answers(rule, segment, answers):
    wanted, found = (
        gradient_of(Learning(one), one, method)[0]
        for one, method in ((RULES[rule](), Unrolled(answers)), (RULES[rule](), Checkpointed(segment, answers)))
    )
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, **SAME)


def test_more_answers_than_there_are_steps_are_refused():
    with pytest.raises(bilevel.ConfigurationError, match=r"Checkpointed\(answers=11\) averages over more answers"):
        gradient_of(Quadratic(), torchopt.sgd(0.3), Checkpointed(answers=11))


class Steady(bilevel.RuleLoss):
    """A price on the length of the last two moves alone."""

    def addition(self, rollout):
        return sum((b - a).square().sum() for a, b in zip(rollout.iterates[-3:-1], rollout.iterates[-2:], strict=True))


@pytest.mark.parametrize(
    "rule_loss", [bilevel.LastAnswer(), bilevel.Proximal(0.5), Steady()], ids=lambda loss: type(loss).__name__
)
@pytest.mark.parametrize("task", [Saddle, Tracking])
@pytest.mark.parametrize("segment", [1, 4])
def test_a_rule_that_is_trained_at_the_same_time(task, rule_loss, segment):
    found = []
    for method in (Unrolled(), Checkpointed(segment)):
        rule = LinearRule(-0.2, 0.1)
        game = task()
        solver = solver_of(game, rule, method, rule_optimizer=sgd(rule.parameters(), 0.01), rule_loss=rule_loss)
        for _ in range(3):
            solver.step(None)
        found.append([game.leader.detach(), rule.a.detach(), rule.b.detach()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **SAME)


def test_a_rule_that_is_trained_for_all_its_answers():
    """The derivative of the sum of q over the answers, made by hand."""
    task, rule = Tracking(), LinearRule(-0.2, 0.1)
    train = {"rule_optimizer": sgd(rule.parameters()), "rule_loss": bilevel.SummedOverSteps()}
    solver = solver_of(task, rule, Checkpointed(2), steps=5, **train)
    found = solver.rule_gradient(solver.follow(None, seen=True)).gradient
    z, target, total = task.c, (task.a @ task.leader).detach(), 0.0
    for _ in range(5):
        z = z + rule.a * (z - target) + rule.b * z
        total = total + 0.5 * (z - target).square().sum()
    for one, other in zip(found, torch.autograd.grad(total, [rule.a, rule.b]), strict=True):
        torch.testing.assert_close(one, other, **SAME)


def test_a_follower_that_lives_on_with_a_rule_that_is_trained():
    class Living(Tracking):
        def __init__(self):
            super().__init__()
            self.lives_on = True

    found = []
    for method in (Unrolled(), Checkpointed()):
        rule, game = LinearRule(-0.2, 0.1), Living()
        train = {"rule_optimizer": sgd(rule.parameters(), 0.01), "play": bilevel.FollowerFirst()}
        solver = solver_of(game, rule, method, **train)
        for _ in range(3):
            solver.step(None)
        found.append([game.leader.detach(), rule.a.detach(), rule.b.detach(), solver.answer])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **SAME)
