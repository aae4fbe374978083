"""Learned attackers, with everything written out once more: both players get the same gradients."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from method_cases import EPS, batch, solver_of, warm
from torch.nn import functional

from bilevel.learned import Direction, Iterate, Small
from bilevel.play import Simultaneous
from tasks.vision.methods import L2L, METHODS, PerImage


def planes_by_hand(inputs, z, gradient):
    scaled = gradient / gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
    kinds = {Iterate: z, Direction: scaled}
    return torch.cat([kinds[type(one)] for one in inputs], 1)


def loss_by_hand(model, rule, b, inputs, steps):
    """Return the training loss of the classifier, with graphs to both players."""
    z = b.x
    for _ in range(steps):
        model.eval()
        point = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model(point), b.y), point)
        model.train()
        z = z + EPS * torch.tanh(rule.network(planes_by_hand(inputs, z, gradient)))
        z = (b.x + (z - b.x).clamp(-EPS, EPS)).clamp(0, 1)
    return functional.cross_entropy(model(z), b.y)


@pytest.mark.parametrize("name", ["naive-l2l", "grad-l2l", "grad-only-l2l", "2-step-l2l", "2-step-grad-only-l2l"])
def test_one_backward_pass_gives_both_players_their_gradients(name):
    """θ's gradient is that of the loss in θ; φ's is minus that of the loss in φ; each is computed separately here."""
    method = replace(METHODS[name], network=Small(width=4))
    assert method.play == Simultaneous()
    model, b = warm(torch.float64), batch(dtype=torch.float64)
    solver = solver_of(method, model)
    by_hand = [copy.deepcopy((model, solver.rule)) for _ in range(2)]  # each pass moves the running statistics
    field = solver.field(b)
    leader, rule = field.leader, field.rule
    losses = [loss_by_hand(*twins, b, method.inputs, method.steps) for twins in by_hand]
    assert torch.allclose(leader.loss, losses[0])
    assert torch.allclose(rule.loss, -losses[0])
    expected = torch.autograd.grad(losses[0], list(by_hand[0][0].parameters()))
    assert all(map(torch.allclose, leader.gradient, expected))
    expected = torch.autograd.grad(losses[1], list(by_hand[1][1].parameters()))
    assert all(torch.allclose(g, -e) for g, e in zip(rule.gradient, expected, strict=True))
    assert any(e.abs().max() > 1e-6 for e in expected)


def test_both_players_move_along_these_gradients():
    method = L2L(network=Small(width=4), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0))
    model, b = warm(torch.float64), batch(dtype=torch.float64)
    solver = solver_of(method, model, lr=1.0)
    theta, phi = list(model.parameters()), list(solver.rule.parameters())
    before = [p.detach().clone() for p in (*theta, *phi)]
    twins = copy.deepcopy((model, solver.rule))
    loss = loss_by_hand(*twins, b, method.inputs, 1)
    gradient = torch.autograd.grad(loss, [*twins[0].parameters(), *twins[1].parameters()])
    solver.step(b)
    signs = [-1] * len(theta) + [1] * len(phi)
    for p, old, sign, g in zip((*theta, *phi), before, signs, gradient, strict=True):
        torch.testing.assert_close(p.detach(), old + sign * g)


def test_a_k_step_attacker_is_not_trained_through_its_image():
    """With the image as a constant, φ's gradient is the one of a loop that detaches it."""
    method = replace(METHODS["k-step-l2l"], network=Small(width=4), inputs=(Iterate(detach=True),), steps=2)
    model, b = warm(torch.float64), batch(dtype=torch.float64)
    solver = solver_of(method, model)
    rule = solver.field(b).rule
    z = b.x
    for _ in range(2):
        z = z + method.scale * EPS * torch.tanh(solver.rule.network(z.detach()))
        z = (b.x + (z - b.x).clamp(-EPS, EPS)).clamp(0, 1)
    expected = torch.autograd.grad(functional.cross_entropy(model(z), b.y), list(solver.rule.parameters()))
    assert all(torch.allclose(g, -e) for g, e in zip(rule.gradient, expected, strict=True))


def test_the_gradient_of_each_images_own_loss():
    model, b = warm(torch.float64).eval(), batch(dtype=torch.float64)
    z = b.x.clone().requires_grad_()
    (mean,) = torch.autograd.grad(functional.cross_entropy(model(z), b.y), z)
    (own,) = torch.autograd.grad(functional.cross_entropy(model(z), b.y, reduction="sum"), z)
    torch.testing.assert_close(PerImage()(mean)[0], own)
