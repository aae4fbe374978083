"""Attacks that begin where the last one on the same image ended."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.rule_loss import Proximal
from bilevel.starts import Center
from tasks.vision.data import CropAndFlip, ImageBatch, Movement
from tasks.vision.games.mixed import Mixed
from tasks.vision.methods import L2L, METHODS, SignSteps
from tasks.vision.methods.learned import ADAM
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import EvalModeNorm
from tasks.vision.threat import Threat
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


def trained(method, epochs=3, serve=batches):
    torch.manual_seed(0)
    model = SmallConvNet(width=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    solver = method.solver(model, eps=EPS, channels=1, samples=N, leader_optimizer=optimizer)
    torch.manual_seed(1)  # for the first perturbations, whatever the attacker's weights took
    for batch in serve(epochs):
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
    solver = trained(SignSteps(steps=1, step=0.75, warm=0.5, game=Mixed(beta=1.0)))
    perturbation, sign = solver.task.beginning.kept
    assert sign.abs().max() == 1
    assert perturbation.abs().max() <= EPS + 1e-6


def shifted(image, down, right, flipped):
    """Return one image moved, and for each of its pixels where it comes from, or None from outside."""
    height, width = image.shape[-2:]
    moved, origin = torch.zeros_like(image), {}
    for row in range(height):
        for column in range(width):
            r, c = row + down, (width - 1 - column if flipped else column) + right
            if 0 <= r < height and 0 <= c < width:
                moved[:, row, column] = image[:, r, c]
                origin[row, column] = (r, c)
    return moved, origin


def test_what_is_kept_follows_an_image_that_is_moved():
    x, y = data()
    draw = torch.Generator().manual_seed(2)
    warm, threat = WarmStart(N, push=0.5), Threat(EPS, Center())
    sample = torch.arange(N)
    warm.start(ImageBatch(x, y, sample), threat)
    answers = (x + (torch.rand(x.shape, generator=draw) - 0.5) * 2 * EPS).clamp(0, 1)
    gradient = torch.randn(x.shape, generator=draw)
    warm.remember(ImageBatch(x, y, sample), answers, gradient)
    before = [kept.clone() for kept in warm.kept]

    sample = torch.tensor([7, 2, 9])
    movement = CropAndFlip(3).draw(3, draw)
    batch = ImageBatch(movement(x[sample]), y[sample], sample, movement)
    begin = warm.start(batch, threat)
    answers, gradient = batch.x + 0.01, torch.randn(batch.x.shape, generator=draw)
    warm.remember(batch, answers, gradient)

    assert bool(movement.flipped.any())
    assert not bool(movement.flipped.all())
    expected = [kept.clone() for kept in before]
    for i, number in enumerate(sample.tolist()):
        how = int(movement.down[i]), int(movement.right[i]), bool(movement.flipped[i])
        delta, origin = shifted(before[0][number], *how)
        sign, _ = shifted(before[1][number], *how)
        z = batch.x[i] + delta + 0.5 * EPS * sign
        torch.testing.assert_close(begin[i : i + 1], threat.project(batch.x[i : i + 1], z[None]), rtol=0, atol=1e-7)
        for (row, column), (r, c) in origin.items():
            expected[0][number, :, r, c] = answers[i, :, row, column] - batch.x[i, :, row, column]
            expected[1][number, :, r, c] = gradient[i, :, row, column].sign()
        assert 0 < len(origin) < 64  # something went out of sight
    assert torch.equal(warm.kept[0], expected[0])
    assert torch.equal(warm.kept[1], expected[1])


def test_a_movement_by_nothing_changes_nothing():
    def moved(epochs):
        for batch in batches(epochs):
            none = torch.zeros(len(batch.y), dtype=torch.int64)
            yield batch._replace(movement=Movement(none, none, none.bool()))

    still, again = trained(METHODS["warm-fgsm"]), trained(METHODS["warm-fgsm"], serve=moved)
    for one, other in zip(
        still.task.leader.state_dict().values(), again.task.leader.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    assert all(map(torch.equal, still.task.beginning.kept, again.task.beginning.kept))
