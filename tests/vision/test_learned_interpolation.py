"""Adversarial interpolation training with a learned attacker: Algorithm 4 of Jiang et al. 2021."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from interpolation_by_hand import (
    EPS,
    LABEL_EPS,
    batch,
    cosine_by_hand,
    feature_loss_by_hand,
    labels_by_hand,
    loss_by_hand,
    project,
    solver_of,
    warm,
)
from torch import nn

from bilevel.learned import Small
from bilevel.play import FollowerFirst, Simultaneous
from tasks.vision.data import ImageBatch
from tasks.vision.games import Away, Interpolation, Towards
from tasks.vision.methods import AIT_METHODS
from tasks.vision.networks import SmallConvNet
from tasks.vision.presets import AIT_CODE, AIT_PAPER


def algorithm_4(model, rule, b, kind, *, steps, rates):
    """One step of Jiang et al. 2021, Algorithm 4, in plain torch: φ first, then θ on the same images."""
    partners = b.x.flip(0)
    model.eval()
    z = b.x
    for _ in range(steps):
        point = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(feature_loss_by_hand(model, point, partners, kind), point)
        seen = -gradient / gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
        planes = [z] * (len(rule.inputs) - 1) + [seen]
        z = project(b.x, z + EPS * torch.tanh(rule.network(torch.cat(planes, 1))))
    phi = list(rule.parameters())
    gradient = torch.autograd.grad(feature_loss_by_hand(model, z, partners, kind), phi)
    with torch.no_grad():
        for p, g in zip(phi, gradient, strict=True):
            p.sub_(rates[1] * g)
    model.train()
    theta = list(model.parameters())
    labels = labels_by_hand(b.y, b.y.flip(0), 10, LABEL_EPS)
    gradient = torch.autograd.grad(loss_by_hand(model, z.detach(), labels), theta)
    with torch.no_grad():
        for p, g in zip(theta, gradient, strict=True):
            p.sub_(rates[0] * g)


@pytest.mark.parametrize("kind", [Towards(), Away()])
@pytest.mark.parametrize("name", ["grad-l2l", "grad-only-l2l", "2-step-l2l", "2-step-grad-only-l2l"])
def test_a_learned_attacker_and_the_classifier_move_as_in_algorithm_4(name, kind):
    method = replace(
        AIT_METHODS[name],
        game=Interpolation(LABEL_EPS, kind),
        network=Small(width=4),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=3.0),
    )
    assert method.play == FollowerFirst(same_answer=True)
    model, b = warm(), batch()
    solver = solver_of(method, model, lr=0.5)
    before = [p.detach().clone() for p in solver.rule.parameters()]
    twins = copy.deepcopy((model, solver.rule))
    for _ in range(2):
        solver.step(b)
        algorithm_4(*twins, b, kind, steps=method.steps, rates=(0.5, 3.0))
    for mine, other in zip((model, solver.rule), twins, strict=True):
        for one, another in zip(mine.state_dict().values(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(one, another)
    assert any((p - q).abs().max() > 1e-6 for p, q in zip(solver.rule.parameters(), before, strict=True))
    assert all(p.grad is None for p in (*model.parameters(), *solver.rule.parameters()))


@pytest.mark.parametrize("preset", [AIT_PAPER, AIT_CODE])
@pytest.mark.parametrize(("name", "attacker"), [("grad-l2l", 1), ("2-step-l2l", 2)])
def test_batch_norms_absorb_what_is_learned_and_nothing_else(preset, name, attacker):
    """The images are made and φ is trained in evaluation mode; the attacker's norms see its own applications."""
    method = replace(replace(preset, method=name).make_method(), network=Small(width=4))
    model, b = SmallConvNet(width=3), ImageBatch(torch.rand(4, 1, 8, 8), torch.arange(4))
    solver = solver_of(method, model)
    solver.step(b)
    for part, expected in ((model, 1), (solver.rule, attacker)):
        counts = {int(m.num_batches_tracked) for m in part.modules() if isinstance(m, nn.BatchNorm2d)}
        assert counts == {expected}
        assert all(m.training for m in part.modules())


def test_in_simultaneous_play_both_losses_are_of_the_same_pass_in_training_mode():
    model, b = warm(), batch()
    method = replace(AIT_METHODS["grad-l2l"], network=Small(width=4), play=Simultaneous())
    solver = solver_of(method, model)
    twin = copy.deepcopy(model)
    field = solver.field(b)
    partner = twin.eval().embed(b.x.flip(0)).detach()
    twin.train()
    model.load_state_dict(twin.state_dict())  # the running statistics, which the leader's pass has moved
    answer = solver.follow(b).answer
    feature = twin.embed(answer)
    follower = (1 - cosine_by_hand(feature, partner)).mean()
    leader = -(labels_by_hand(b.y, b.y.flip(0), 10, 0.5) * twin.classify(feature).log_softmax(1)).sum(1).mean()
    expected = torch.autograd.grad(leader, list(twin.parameters()), retain_graph=True)
    assert all(map(torch.allclose, field.leader.gradient, expected))
    expected = torch.autograd.grad(follower, list(solver.rule.parameters()))
    assert all(map(torch.allclose, field.rule.gradient, expected))
