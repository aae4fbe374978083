from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
import torch
import torchopt
from problems import LinearRule, Quadratic, Remembering, Saddle, Split, Tracking, sgd
from torch import nn
from torch.nn import functional as F

import bilevel
from bilevel import Checkpointed, Unrolled
from bilevel.learned import LSTM, MLP, Direction, Iterate, LastDirection, Noise, Start

STEPS = 10
SAME = {"rtol": 1e-12, "atol": 1e-13}


def seen(name):
    """What a learned rule sees, the gradient differentiated too."""
    inputs = {
        "mlp": (Iterate(), Direction(detach=False)),
        "lstm": (Direction(detach=False), LastDirection(), Start()),
        "noise": (Iterate(), Direction(detach=False), Noise(0.5)),
    }[name]
    torch.manual_seed(5)
    return (LSTM(hidden=4, inputs=inputs, scale=0.3) if name == "lstm" else MLP(4, (8,), inputs=inputs)).double()


RULES = {
    "gradient": lambda: torchopt.sgd(0.3),
    "momentum": lambda: torchopt.sgd(0.1, momentum=0.9),
    "adam": lambda: torchopt.adam(0.1),
    **{name: lambda name=name: seen(name) for name in ("mlp", "lstm", "noise")},
}


def solver_of(task, rule, method, *, steps=STEPS, **settings):
    led = task.leader.parameters() if isinstance(task.leader, nn.Module) else [task.leader]
    return bilevel.Solver(task, rule, steps=steps, leader_optimizer=sgd(led), hypergradient=method, **settings)


def gradient_of(task, rule, method, *, steps=STEPS):
    """Return the hypergradient and the next random number."""
    torch.manual_seed(1)
    solver = solver_of(task, rule, method, steps=steps)
    found = solver.leader_gradient(solver.answer_to(None)).gradient
    return found, torch.rand(())


def assert_same(task, rule, method=None, *, steps=STEPS):
    """Check that the hypergradient is that of `Unrolled`, at the same random numbers, and return it."""
    (wanted, a), (found, b) = (gradient_of(task, rule, m, steps=steps) for m in (Unrolled(), method or Checkpointed()))
    assert [g is None for g in found] == [g is None for g in wanted]
    for one, other in zip(found, wanted, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, **SAME)
    assert torch.equal(a, b)
    return [g for g in found if g is not None]


@pytest.mark.parametrize("segment", [None, 1, 3, 25])
@pytest.mark.parametrize("rule", RULES)
def test_it_is_unrolled(rule, segment):
    rule = RULES[rule]()
    for p in rule.parameters() if isinstance(rule, nn.Module) else ():
        p.requires_grad_(False)
    (found,) = assert_same(Quadratic(), rule, Checkpointed(segment))
    assert found.abs().max() > 0.01


@pytest.mark.parametrize("rule", ["adam", "lstm", "noise"])
def test_an_answer_of_several_tensors(rule):
    rule = RULES[rule]()
    if isinstance(rule, nn.Module):
        rule.requires_grad_(False)
    assert_same(Split(Quadratic()), rule)


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


class Meta(Quadratic):
    """MAML: the follower begins where the leader stands."""

    def start(self, batch):
        return {"w": self.leader, "c": self.leader.sum() * 2}

    def follower_loss(self, batch, z):
        return (z["w"] - 1).square().sum() + z["c"].cos() * z["w"][0]

    def leader_loss(self, batch, z):
        return (z["w"] * z["c"]).sin().sum()


@pytest.mark.parametrize("rule", ["gradient", "adam"])
def test_a_start_that_depends_on_the_leader(rule):
    (found,) = assert_same(Meta(), RULES[rule]())
    assert found.abs().min() > 1e-3


@pytest.mark.parametrize("steps", [1, 2, 9, 17])
def test_any_number_of_steps(steps):
    assert_same(Tracking(), torchopt.adam(0.1), steps=steps)


def test_the_gradient_at_the_answer_for_a_task_that_remembers():
    slopes = [
        solver.leader_gradient(solver.answer_to(None)).answer_gradient
        for solver in (solver_of(Remembering(), torchopt.sgd(0.3), m) for m in (Unrolled(), Checkpointed()))
    ]
    torch.testing.assert_close(*slopes, **SAME)
    torch.testing.assert_close(slopes[0], Quadratic().slopes_at(Quadratic().after(STEPS, 0.3))[1])


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


def test_an_adaptive_rule_at_an_exactly_zero_gradient():
    class AtRest(Tracking):
        def start(self, batch):
            return (self.a @ self.leader).detach()

    (found,) = assert_same(AtRest(), torchopt.adam(0.1))
    assert found.isfinite().all()


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


class Normed(bilevel.Task):
    """A leader whose statistics absorb each pass, and a random loss."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.3)).double())
        self.x = torch.randn(5, 3).double()

    def start(self, batch):
        return self.x

    def follower_loss(self, batch, z):
        return self.leader(z).sin().sum() + (z - self.x).square().sum()

    def leader_loss(self, batch, z):
        return F.mse_loss(self.leader(z), self.x)


def test_the_second_time_draws_the_same_and_absorbs_nothing():
    statistics = []
    for method in (Unrolled(), Checkpointed(4)):
        task = Normed()
        gradient_of(task, torchopt.sgd(0.1), method)
        statistics.append(task.leader[1].running_mean)
    assert_same(Normed(), torchopt.sgd(0.1), Checkpointed(4))
    assert torch.equal(*statistics)


def test_the_second_time_is_in_the_modes_of_the_first():
    class Damped(LinearRule):
        def update(self, grads, state, *, params=None, inplace=False):
            return super().update(grads * (2.0 if self.training else 1.0), state, params=params)

    rule = Damped()
    (damped,) = assert_same(Quadratic(), rule.requires_grad_(False))
    assert rule.training
    torch.testing.assert_close(damped, assert_same(Quadratic(), LinearRule().requires_grad_(False))[0])


def test_a_leader_that_moved_in_between_is_noticed():
    task = Quadratic()
    solver = solver_of(task, torchopt.sgd(0.3), Checkpointed())
    rollout = solver.answer_to(None)
    with torch.no_grad():
        task.leader.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        solver.leader_gradient(rollout)


def test_a_point_of_the_tasks_own_gets_no_graph():
    class Fixed(Quadratic):
        def project(self, batch, z):
            return self.c

    task = Fixed()
    (found,), _ = gradient_of(task, torchopt.sgd(0.3), Checkpointed(), steps=1)
    assert task.c.grad_fn is None
    assert not task.c.requires_grad
    torch.testing.assert_close(found, task.slopes_at(task.c)[0])


def peak(method, steps):
    """Return the most bytes that graphs held at one time."""
    held, most = 0, 0

    class Saved:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor, size = tensor, tensor.nbytes
            held += size
            most = max(most, held)
            weakref.finalize(self, self.release, size)

        @staticmethod
        def release(size):
            nonlocal held
            held -= size

    solver = solver_of(Quadratic(), torchopt.adam(0.1), method, steps=steps)
    with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        solver.leader_gradient(solver.answer_to(None))
    return most


def test_memory_grows_as_the_square_root():
    unrolled, checkpointed = ([peak(m, steps) for steps in (16, 64, 256)] for m in (Unrolled(), Checkpointed()))
    assert all(b / a > 3.5 for a, b in pairwise(unrolled))
    assert all(b / a < 2.3 for a, b in pairwise(checkpointed))


@pytest.mark.parametrize("segment", [0, -1, True])
def test_a_segment_that_is_no_length_is_refused(segment):
    with pytest.raises(bilevel.ConfigurationError, match="Checkpointed's segment must be a whole number from 1"):
        Checkpointed(segment)
