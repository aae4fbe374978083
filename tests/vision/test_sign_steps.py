"""Sign steps and plain training against hand-written loops."""

from __future__ import annotations

import copy

import pytest
import torch
from method_cases import EPS, batch, solver_of, warm
from torch.nn import functional

from bilevel.rules import Rule
from bilevel.rules.stay import Stay
from bilevel.starts import Gaussian, Uniform
from tasks.vision.methods import Plain, SignSteps


def pgm_by_hand(model, b, z, steps, step):
    """Return the images of projected sign steps on the classifier in evaluation mode."""
    model.eval()
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model(z), b.y), z)
        z = z.detach() + step * gradient.sign()
        z = (b.x + (z - b.x).clamp(-EPS, EPS)).clamp(0, 1)
    model.train()
    return z


@pytest.mark.parametrize(("steps", "step"), [(1, 1.0), (2, 0.75), (10, 0.25)])
def test_pgm_from_the_clean_images_is_the_plain_loop_bit_for_bit(steps, step):
    model, b = warm(), batch()
    twin = copy.deepcopy(model)
    solver = solver_of(SignSteps(steps=steps, step=step), model, momentum=0.9, weight_decay=2e-4)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    for _ in range(2):
        z = pgm_by_hand(twin, b, b.x, steps, step * EPS)
        assert torch.equal(solver.follow(b).answer, z)
        optimizer.zero_grad()
        functional.cross_entropy(twin(z), b.y).backward()
        optimizer.step()
        solver.step(b)
    for one, other in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("start", [Uniform(1.0), Gaussian(0.05)])
def test_a_random_start_in_multiples_of_eps_is_projected_before_the_first_gradient(start):
    model, b = warm(), batch()
    solver = solver_of(SignSteps(steps=2, step=0.5, start=start), model)
    torch.manual_seed(3)
    found = solver.follow(b).answer
    torch.manual_seed(3)
    z = start.scaled(EPS)(b.x)
    z = (b.x + (z - b.x).clamp(-EPS, EPS)).clamp(0, 1)
    assert torch.equal(found, pgm_by_hand(model, b, z, 2, 0.5 * EPS))


def test_plain_learns_from_the_clean_images():
    model, b = warm(), batch()
    twin = copy.deepcopy(model)
    solver_of(Plain(), model).step(b)
    functional.cross_entropy(twin(b.x), b.y).backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    for one, other in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_staying_is_a_rule_that_sees_no_gradient():
    rule = Stay()
    assert isinstance(rule, Rule)
    assert not rule.sees_gradient
    z = {"a": torch.rand(3), "b": torch.rand(2, 2)}
    updates, state = rule.update(z, rule.init(z), params=z)
    assert all(not u.any() and u.shape == z[name].shape for name, u in updates.items())
    assert state == ()
