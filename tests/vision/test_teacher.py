"""The attacker as a teacher: its lesson against plain torch, and what it leaves of the classifier."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.learned import Small
from bilevel.play import Teaching
from bilevel.play.teaching import same_batch
from bilevel.rules import SignGradient
from bilevel.starts import Center, Uniform
from tasks.vision.config import DROConfig
from tasks.vision.data import ImageBatch
from tasks.vision.data.movement import Movement
from tasks.vision.games import Trades
from tasks.vision.games.divergence import divergence
from tasks.vision.methods import L2L, METHODS, Teacher
from tasks.vision.methods.own_attack import OwnAttack
from tasks.vision.methods.teacher import halves
from tasks.vision.networks import SmallConvNet

EPS, RATE = 0.2, 0.3
TEACHER = Teacher(L2L(network=Small(width=4)), every=2, exam_steps=3, exam_step=0.5)


def batch(n=8):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=torch.float64), torch.arange(n) % 10)


def warm():
    """Return a classifier whose running statistics are not those of a batch."""
    model = SmallConvNet(width=3).double()
    model(torch.rand(50, 1, 8, 8, dtype=torch.float64))
    return model


def solver_of(method, model, lr=RATE):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return method.solver(model, eps=EPS, channels=1, samples=64, leader_optimizer=optimizer)


def project(x, z):
    return (x + (z - x).clamp(-EPS, EPS)).clamp(0, 1)


def after_the_lesson(model, network, b, exam, seen=None):
    """Return the exam's loss, with the graph to the attacker's network, and the images of the exam."""

    def loss(weights, z, y, *, train):
        twin = copy.deepcopy(model).train(train)
        return functional.cross_entropy(torch.func.functional_call(twin, weights, (z,)), y)

    theta = {name: p.detach().requires_grad_() for name, p in model.named_parameters()}
    point = b.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(theta, point, b.y, train=False), point)
    scaled = gradient / gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    z = project(b.x, b.x + EPS * torch.tanh(network(torch.cat([b.x, scaled], 1))))
    slopes = torch.autograd.grad(loss(theta, z, b.y, train=True), list(theta.values()), create_graph=True)
    pupil = {name: w - RATE * s for (name, w), s in zip(theta.items(), slopes, strict=True)}
    if seen is None:
        constant = {name: w.detach() for name, w in pupil.items()}
        seen = exam.x
        for _ in range(3):
            seen = seen.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(constant, seen, exam.y, train=False), seen)
            seen = project(exam.x, seen.detach() + 0.5 * EPS * gradient.sign())
    return loss(pupil, seen, exam.y, train=False), seen


@pytest.mark.parametrize("split", [halves, same_batch])
def test_the_derivative_of_the_robust_loss_after_the_classifiers_step(split):
    """By a second derivative in plain torch, and by differences of the loss along single entries of φ."""
    model, b = warm(), batch()
    solver = solver_of(replace(TEACHER, split=split), model)
    first, exam = split(b)
    twin, network = copy.deepcopy(model), copy.deepcopy(solver.rule.network)
    found = solver.play.lesson(solver, b).gradient
    loss, seen = after_the_lesson(twin, network, first, exam)
    expected = torch.autograd.grad(loss, list(network.parameters()))
    assert all(map(torch.allclose, found, expected))
    changed = next(network.parameters())
    place = expected[0].abs().argmax()
    values = []
    for way in (1e-5, -1e-5):
        with torch.no_grad():
            changed.view(-1)[place] += way
        values.append(after_the_lesson(twin, network, first, exam, seen)[0].item())
        with torch.no_grad():
            changed.view(-1)[place] -= way
    torch.testing.assert_close((values[0] - values[1]) / 2e-5, found[0].view(-1)[place].item(), rtol=1e-4, atol=1e-9)
    assert expected[0].abs().max() > 1e-6


def test_a_lesson_leaves_the_classifier_as_it_was():
    model, b = warm(), batch()
    solver = solver_of(TEACHER, model)
    before = copy.deepcopy(model.state_dict())
    solver.play.lesson(solver, b)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(m.training for m in (*model.modules(), *solver.rule.modules()))
    assert all(p.grad is None and p.requires_grad for p in (*model.parameters(), *solver.rule.parameters()))
    solver.step(b)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {int(m.num_batches_tracked) for m in norms} == {2}  # the one of `warm`, and the classifier's own pass


def test_the_loss_of_a_lesson_is_that_of_the_classifier_as_it_is_not_of_the_pupil():
    model, b = warm(), batch()
    attacker = replace(TEACHER.attacker, game=Trades(), start=Uniform(0.5))
    solver = solver_of(replace(TEACHER, attacker=attacker, split=same_batch), model, lr=1.0)
    torch.manual_seed(3)
    answer = solver.follow(b).answer
    torch.manual_seed(3)
    found = solver.play.lesson(solver, b).loss
    model.eval()
    torch.testing.assert_close(found, -divergence(model(b.x), model(answer)).detach())


def test_the_attacker_learns_in_lessons_alone():
    model, b = warm(), batch()
    solver = solver_of(TEACHER, model)
    moved = []
    for _ in range(4):
        before = [p.detach().clone() for p in solver.rule.parameters()]
        solver.step(b)
        moved.append(any(not torch.equal(p, q) for p, q in zip(solver.rule.parameters(), before, strict=True)))
    assert moved == [True, False, True, False]


def test_a_compiled_classifier_is_refused():
    with pytest.raises(ConfigurationError, match=r"teacher-l2l differentiates.*leave compile off"):
        DROConfig(method="teacher-l2l", compile=True)


def test_halves():
    b = ImageBatch(
        torch.rand(5, 1, 8, 8),
        torch.arange(5),
        torch.arange(5) + 10,
        Movement(torch.arange(5), torch.arange(5), torch.zeros(5, dtype=torch.bool)),
    )
    first, second = halves(b)
    assert (first.y.tolist(), second.y.tolist()) == ([0, 1], [2, 3, 4])
    assert (first.sample.tolist(), second.movement.down.tolist()) == ([10, 11], [2, 3, 4])
    assert torch.equal(second.x, b.x[2:])
    assert halves(b._replace(sample=None, movement=None))[0].sample is None
    few = ImageBatch(torch.rand(3, 1, 8, 8), torch.arange(3))
    assert all(one is few for one in halves(few))


def test_the_settings_reach_the_play():
    config = DROConfig(
        method="teacher-l2l", teacher_every=5, teacher_exam_steps=2, teacher_exam_step=0.75, teacher_pupil_steps=2,
        teacher_exam="same", attacker="small", attacker_width=4,
    )  # fmt: skip
    solver = solver_of(config.make_method(), SmallConvNet(width=3))
    expected = Teaching(SignGradient(0.75 * EPS), examiner_steps=2, every=5, pupil_steps=2, split=same_batch)
    assert solver.play == expected
    assert solver.task.threat.begin == Uniform(EPS)
    assert replace(config, attacker_start="center").make_method().attacker.start == Center()
    assert METHODS["teacher-l2l"] == Teacher()


def test_its_own_attack_is_that_of_its_attacker():
    solver = solver_of(TEACHER, warm())
    attack = TEACHER.own_attack(solver.rule, EPS)
    assert isinstance(attack, OwnAttack)
    assert (attack.rule, attack.eps, attack.steps) == (solver.rule, EPS, 1)


@pytest.mark.parametrize("settings", [{"every": 0}, {"exam_steps": 0}, {"pupil_steps": 0}, {"exam_step": 0.0}])
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigurationError, match=f"Teacher's {next(iter(settings))}"):
        Teacher(**settings)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("teacher_every", 0, "teacher_every must be above 0"),
        ("teacher_exam_steps", 0, "teacher_exam_steps must be above 0"),
        ("teacher_exam_step", -1.0, "teacher_exam_step must be above 0"),
        ("teacher_pupil_steps", 0, "teacher_pupil_steps must be above 0"),
        ("teacher_exam", "thirds", "halves, same"),
    ],
)
def test_settings_of_the_command_line_out_of_range(field, value, message):
    with pytest.raises(ConfigurationError, match=message):
        replace(DROConfig(), **{field: value})
