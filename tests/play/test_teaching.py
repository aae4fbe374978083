"""The follower as a teacher: its derivative through the pupil's steps, written out and by finite differences."""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest
import torch
import torchopt
from torch import Tensor, nn

import bilevel
from bilevel.errors import ConfigurationError
from bilevel.other_weights import with_weights
from bilevel.rules import Gradient, ModuleRule

RADIUS, RATE = 0.3, 0.7


class Batch(NamedTuple):
    x: Tensor
    y: Tensor


class Net(nn.Module):
    """Two layers, batch norm between them, and a layer that is never trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 1)
        self.fixed = nn.Linear(1, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fixed(self.last(torch.tanh(self.norm(self.first(x)))))


class Shifted(bilevel.MinimaxTask):
    def __init__(self, model):
        super().__init__(leader=model)

    def start(self, batch):
        return batch.x

    def project(self, batch, z):
        return bilevel.linf_ball(z, center=batch.x, radius=RADIUS)

    def loss(self, batch, z):
        return (self.leader(z) - batch.y).square().mean()


class Push(ModuleRule):
    """u = tanh([z, gradient] A), which is smooth in its parameters A."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(0.1 * torch.randn(6, 3, dtype=torch.float64))

    @property
    def sees_gradient(self):
        return True

    def init(self, params):
        return ()

    def update(self, grads, state, *, params=None, inplace=False):
        return 0.2 * torch.tanh(torch.cat([params, grads.detach()], 1) @ self.a), state


def batch(n=8):
    return Batch(torch.randn(n, 3, dtype=torch.float64), torch.randn(n, 1, dtype=torch.float64))


def halves(b):
    return Batch(b.x[:4], b.y[:4]), Batch(b.x[4:], b.y[4:])


def game(play, *, lr=RATE, rule=None):
    model, rule = Net().double(), rule or Push()
    model(torch.randn(50, 3, dtype=torch.float64))  # so that running statistics are not those of a batch
    return bilevel.Solver(
        Shifted(model),
        rule,
        leader_optimizer=torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr),
        rule_optimizer=torch.optim.SGD(rule.parameters(), lr=1.0),
        play=play,
    )


def mse(model, weights, x, y):
    return (torch.func.functional_call(model, weights, (x,)) - y).square().mean()


def answer_by_hand(model, a, b):
    point = b.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(-(model(point) - b.y).square().mean(), point)
    z = b.x + 0.2 * torch.tanh(torch.cat([b.x, gradient], 1) @ a)
    return b.x + (z - b.x).clamp(-RADIUS, RADIUS)


def pupil_by_hand(model, a, b, steps, rate):
    """Return the weights after the lesson, with their graph to ``a``; the model is in training mode."""
    z = answer_by_hand(copy.deepcopy(model), a, b)
    weights = {name: p.detach().requires_grad_() for name, p in model.named_parameters() if p.requires_grad}
    for _ in range(steps):
        loss = mse(copy.deepcopy(model), weights, z, b.y)
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {name: w - rate * s for (name, w), s in zip(weights.items(), slopes, strict=True)}
    return weights


def examine_by_hand(model, weights, b, steps, step):
    """Return where gradient ascent on the pupil's loss ends, as a constant."""
    weights = {name: w.detach() for name, w in weights.items()}
    z = b.x
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(mse(copy.deepcopy(model), weights, z, b.y), z)
        z = b.x + (z + step * slope - b.x).clamp(-RADIUS, RADIUS)
    return z.detach()


@pytest.mark.parametrize("pupil_steps", [1, 2])
@pytest.mark.parametrize("split", [None, halves])
def test_the_derivative_is_that_of_the_loss_after_the_leaders_step(pupil_steps, split):
    settings = {} if split is None else {"split": split}
    play = bilevel.Teaching(Gradient(0.5), examiner_steps=3, pupil_steps=pupil_steps, **settings)
    solver, b = game(play), batch()
    model, a = solver.task.leader, solver.rule.a
    first, exam = split(b) if split else (b, b)
    before = copy.deepcopy(model.state_dict())
    found = play.lesson(solver, b).gradient[0]
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())

    twin = copy.deepcopy(model)
    twin.load_state_dict(before)
    seen = examine_by_hand(twin, pupil_by_hand(twin, a, first, pupil_steps, RATE), exam, 3, 0.5)

    def after(a):
        return mse(copy.deepcopy(twin), pupil_by_hand(twin, a, first, pupil_steps, RATE), seen, exam.y)

    (expected,) = torch.autograd.grad(after(a), a)
    torch.testing.assert_close(found, expected)
    assert expected.abs().max() > 1e-4
    with torch.no_grad():
        for i, j in [(0, 0), (2, 1), (5, 2)]:
            change = torch.zeros_like(a)
            change[i, j] = 1e-5
            with torch.enable_grad():
                slope = (after(a + change) - after(a - change)).detach() / 2e-5
            torch.testing.assert_close(found[i, j], slope, rtol=1e-6, atol=1e-9)


def test_running_statistics_absorb_the_leaders_own_passes_alone():
    """The gradient that feeds the rule is one pass of the game's; the pupil's and the examiner's leave nothing."""
    solver, b = game(bilevel.Teaching(Gradient(0.5), examiner_steps=4, every=2, pupil_steps=3)), batch()
    norm = solver.task.leader.norm
    counts = [int(norm.num_batches_tracked)]
    for _ in range(4):
        solver.step(b)
        counts.append(int(norm.num_batches_tracked))
    lesson, plain = 1 + 2, 2  # one for the rule's gradient in the lesson; one for it and one for θ in the leader's move
    assert torch.tensor(counts).diff().tolist() == [lesson, plain, lesson, plain]


def test_the_rule_moves_in_lessons_alone_and_the_leader_along_its_answers():
    solver, b = game(bilevel.Teaching(Gradient(0.5), every=3, rate=0.2), lr=0.1), batch()
    model, rule = solver.task.leader, solver.rule
    for step in range(5):
        theta, a = copy.deepcopy(model), rule.a.detach().clone()
        gradient = solver.play.lesson(solver, b).gradient[0]
        model.load_state_dict(theta.state_dict())
        record = solver.step(b)
        assert (record.rule_gradient_norm is not None) == (step % 3 == 0)
        torch.testing.assert_close(rule.a.detach(), a - gradient if step % 3 == 0 else a)
        z = answer_by_hand(copy.deepcopy(theta), rule.a.detach(), b)
        loss = (theta(z) - b.y).square().mean()
        torch.testing.assert_close(record.leader_loss, loss.detach())
        loss.backward()
        torch.optim.SGD([p for p in theta.parameters() if p.requires_grad], lr=0.1).step()
        for one, other in zip(model.parameters(), theta.parameters(), strict=True):
            torch.testing.assert_close(one, other)
    assert all(p.grad is None for p in (*model.parameters(), *rule.parameters()))


def test_a_lesson_lowers_the_loss_after_the_leaders_step():
    """What φ is for: after some lessons the pupil of a frozen leader is better in its exam than before."""
    solver, b = game(bilevel.Teaching(Gradient(0.5), examiner_steps=3)), batch()
    twin = copy.deepcopy(solver.task.leader)

    def judged(a):
        weights = pupil_by_hand(twin, a, b, 1, RATE)
        return mse(copy.deepcopy(twin), weights, examine_by_hand(twin, weights, b, 3, 0.5), b.y).item()

    before = judged(solver.rule.a)
    for _ in range(20):
        solver.task.leader.load_state_dict(twin.state_dict())
        solver.move_rule(solver.play.lesson(solver, b))
    assert judged(solver.rule.a) < before


def test_without_a_learning_rate_there_is_nothing_to_teach():
    solver, b = game(bilevel.Teaching(Gradient(0.5)), lr=0.0), batch()
    assert solver.step(b).rule_gradient_norm is None


def test_a_resumed_solver_gives_its_lessons_at_the_same_steps():
    b = batch()
    one, other = (game(bilevel.Teaching(Gradient(0.5), every=2)) for _ in range(2))
    for _ in range(3):
        one.step(b)
    other.load_state_dict(one.state_dict())
    other.task.leader.load_state_dict(one.task.leader.state_dict())
    for _ in range(3):
        one.step(b)
        other.step(b)
    assert torch.equal(one.rule.a, other.rule.a)


def test_a_module_has_its_own_weights_back_after_an_error():
    model = Net().double()
    before = dict(model.named_parameters())
    other = {name: torch.zeros_like(p) for name, p in before.items()}

    def work():
        assert not model.first.weight.any()
        model(torch.randn(5, 3, dtype=torch.float64))
        raise KeyError

    with pytest.raises(KeyError):
        with_weights(model, other, work)
    assert all(p is before[name] for name, p in model.named_parameters())
    assert int(model.norm.num_batches_tracked) == 0


# What does not fit.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "Teaching's every"),
        ({"examiner_steps": 0}, "Teaching's examiner_steps"),
        ({"pupil_steps": 0}, "Teaching's pupil_steps"),
        ({"rate": 0.0}, "rate must be a finite number above 0"),
        ({"rate": float("nan")}, "rate must be a finite number"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        bilevel.Teaching(Gradient(0.5), **settings)


def test_players_that_do_not_fit():
    task = Shifted(Net().double())
    sgd = torch.optim.SGD(task.leader.first.parameters(), lr=0.1)
    with pytest.raises(ConfigurationError, match="Gradient has nothing to train"):
        bilevel.Solver(task, Gradient(0.1), leader_optimizer=sgd, play=bilevel.Teaching(Gradient(0.5)))
    rule = Push()
    groups = [{"params": task.leader.first.parameters()}, {"params": task.leader.last.parameters(), "lr": 1.0}]
    settings = {
        "leader_optimizer": torch.optim.SGD(groups, lr=0.1),
        "rule_optimizer": torch.optim.SGD(rule.parameters()),
    }
    with pytest.raises(ConfigurationError, match="several learning rates"):
        bilevel.Solver(task, rule, play=bilevel.Teaching(Gradient(0.5)), **settings)
    bilevel.Solver(task, rule, play=bilevel.Teaching(Gradient(0.5), rate=0.1), **settings)
    task.lives_on = True
    with pytest.raises(ConfigurationError, match="starts anew on each batch"):
        bilevel.Solver(task, rule, play=bilevel.Teaching(torchopt.sgd(0.5), rate=0.1), **settings)
