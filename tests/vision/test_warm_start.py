"""Attacks that begin where the last one on the same image ended."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.rule_loss import Proximal
from tasks.vision.data import ImageBatch
from tasks.vision.methods import L2L, METHODS, SignSteps
from tasks.vision.methods.learned import ADAM
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import EvalModeNorm
from tasks.vision.warm_start import WarmStart

EPS, N = 0.2, 12


def data():
    draw = torch.Generator().manual_seed(5)
    return torch.rand(N, 1, 8, 8, generator=draw), torch.arange(N) % 10


def batches(epochs, size=5):
    x, y = data()
    draw = torch.Generator().manual_seed(6)
    for _ in range(epochs):
        for sample in torch.randperm(N, generator=draw).split(size):
            yield ImageBatch(x[sample], y[sample], sample)


def trained(method, epochs=3):
    torch.manual_seed(0)
    model = SmallConvNet(width=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    solver = method.solver(model, eps=EPS, channels=1, samples=N, leader_optimizer=optimizer)
    torch.manual_seed(1)  # for the first perturbations, whatever the attacker's weights took
    for batch in batches(epochs):
        solver.step(batch)
    return solver


def by_hand(epochs=3):
    """The hand-written method, written out: kept perturbation and sign, one step of 0.75 eps, one weight update."""
    torch.manual_seed(0)
    model = SmallConvNet(width=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    kept, sign = torch.empty(N, 1, 8, 8).uniform_(-EPS, EPS), torch.zeros(N, 1, 8, 8)

    def project(z, x):
        return (x + (z - x).clamp(-EPS, EPS)).clamp(0, 1)

    for batch in batches(epochs):
        x, y, i = batch.x, batch.y, batch.sample
        z = project(x + kept[i] + 0.5 * EPS * sign[i], x).requires_grad_()
        model.eval()
        (g,) = torch.autograd.grad(functional.cross_entropy(model(z), y), z)
        model.train()
        z = project(z.detach() + 0.75 * EPS * g.sign(), x).requires_grad_()
        optimizer.zero_grad()
        functional.cross_entropy(model(z), y).backward()
        optimizer.step()
        kept[i], sign[i] = z.detach() - x, z.grad.sign()
    return model, kept, sign


def test_it_is_the_written_out_method():
    solver, (model, kept, sign) = trained(METHODS["warm-fgsm"]), by_hand()
    for ours, theirs in zip(solver.task.leader.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(solver.task.beginning.kept[0], kept, rtol=0, atol=1e-6)
    assert torch.equal(solver.task.beginning.kept[1], sign)


def test_the_learned_one_begins_as_the_written_one():
    """Its last layer is zero: with a network that never learns it stays the written one."""
    still = replace(METHODS["warm-l2l"], optimizer=lambda p: torch.optim.SGD(p, lr=1e-30))
    ours, theirs = trained(still).task.leader, trained(METHODS["warm-fgsm"]).task.leader
    for one, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    learning = trained(replace(METHODS["warm-l2l"], optimizer=lambda p: ADAM(p, lr=0.1))).task.leader
    assert not torch.equal(learning.classify.weight, theirs.classify.weight)


@pytest.mark.parametrize(
    "method",
    [
        SignSteps(steps=1, step=0.5, warm=0.5),
        L2L(warm=0.5),
        L2L(warm=0.5, rule_loss=Proximal(3.0)),
    ],
)
def test_what_is_kept_is_the_sign_of_the_loss_gradient_alone(method):
    """Not of what a rule's training adds to the loss, and not of the loss at other weights."""
    torch.manual_seed(0)
    model = SmallConvNet(width=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    method = replace(method, norm=EvalModeNorm())
    solver = method.solver(model, eps=EPS, channels=1, samples=N, leader_optimizer=optimizer)
    batch = next(batches(1, size=N))
    before = copy.deepcopy(model)
    solver.step(batch)
    z = (batch.x + solver.task.beginning.kept[0][batch.sample]).requires_grad_()
    (g,) = torch.autograd.grad(functional.cross_entropy(before(z), batch.y), z)
    same = solver.task.beginning.kept[1][batch.sample] == g.sign()
    assert same.double().mean() > 0.995  # x + (z - x) is z but for rounding


def test_a_resumed_training_keeps_what_was_kept(tmp_path):
    unbroken = trained(METHODS["warm-l2l"], epochs=4)
    first = trained(METHODS["warm-l2l"], epochs=2)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = trained(METHODS["warm-l2l"], epochs=0)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for batch in list(batches(4))[6:]:
        second.step(batch)
    for one, other in zip(
        second.task.leader.state_dict().values(), unbroken.task.leader.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    assert all(map(torch.equal, second.task.beginning.kept, unbroken.task.beginning.kept))


def test_batches_without_places_are_refused():
    x, y = data()
    solver = trained(METHODS["warm-fgsm"], epochs=0)
    with pytest.raises(ConfigurationError, match="which images a batch holds"):
        solver.step(ImageBatch(x, y))


@pytest.mark.parametrize(("samples", "push"), [(0, 0.5), (3, -0.1), (3, float("nan"))])
def test_bad_arguments_are_refused(samples, push):
    with pytest.raises(ConfigurationError, match="at least 1 sample and a push of at least 0"):
        WarmStart(samples, push)


def test_clean_images_may_be_learned_beside_warm_ones():
    solver = trained(SignSteps(steps=1, step=0.75, warm=0.5, beta=1.0))
    perturbation, sign = solver.task.beginning.kept
    assert sign.abs().max() == 1
    assert perturbation.abs().max() <= EPS + 1e-6
