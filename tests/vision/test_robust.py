"""The game of adversarial training: its feasible set, starts, losses and batch-norm modes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import bilevel
from bilevel import InnerProblem
from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient, Stay
from bilevel.starts import Center, Gaussian, Uniform
from tasks.vision.data import ImageBatch
from tasks.vision.games import MixedRobustClassification, RobustClassification, Terms
from tasks.vision.networks import SmallConvNet, WideResNet
from tasks.vision.norm_modes import BatchStatisticsNorm, EvalModeNorm, TrainModeNorm

EPS = 0.2


def batch(n=6, dtype=torch.float64):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=dtype), torch.arange(n) % 10)


def small():
    return SmallConvNet(width=3).double()


def buffers(model):
    return {name: value.clone() for name, value in model.named_buffers()}


@pytest.mark.parametrize("kind", [RobustClassification, MixedRobustClassification])
def test_projection_is_the_nearest_allowed_image(kind):
    b = batch()
    z = b.x + torch.randn_like(b.x)
    projected = kind(small(), Terms(EPS)).project(b, z)
    low, high = (b.x - EPS).clamp(min=0), (b.x + EPS).clamp(max=1)
    torch.testing.assert_close(projected, torch.minimum(torch.maximum(z, low), high))


@pytest.mark.parametrize("kind", [RobustClassification, MixedRobustClassification])
@pytest.mark.parametrize(("start", "reach"), [(Uniform(EPS), EPS), (Gaussian(0.5), EPS), (Uniform(0.05), 0.05)])
def test_random_starts_are_allowed_images_and_new_each_time(kind, start, reach):
    b = batch()
    task = kind(small(), Terms(EPS, start=start))
    first, second = task.start(b), task.start(b)
    for z in (first, second):
        assert z.min() >= 0
        assert z.max() <= 1
        assert (z - b.x).abs().max() <= reach + 1e-12
        assert (z - b.x).abs().max() > 0.9 * reach
    assert not torch.equal(first, second)


def test_a_start_that_need_not_be_feasible_is_not_projected():
    b = ImageBatch(torch.zeros(4, 1, 8, 8), torch.arange(4))
    assert RobustClassification(small(), Terms(EPS, Uniform(EPS, feasible=False))).start(b).min() < 0
    assert RobustClassification(small(), Terms(EPS, Gaussian(1.0, feasible=False))).start(b).abs().max() > EPS


def test_the_center_is_the_clean_batch():
    b = batch()
    assert torch.equal(RobustClassification(small(), Terms(EPS)).start(b), b.x)


def test_starts_draw_from_the_generator_that_is_given():
    x = torch.zeros(3, 1, 8, 8)
    before = torch.get_rng_state()
    for start in (Uniform(0.1), Gaussian(0.1)):
        one, two = (start(x, torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(one, two)
    assert torch.equal(before, torch.get_rng_state())


def test_starts_scale():
    assert Uniform(0.5, feasible=False).scaled(0.2) == Uniform(0.1, feasible=False)
    assert Gaussian(0.5).scaled(0.2) == Gaussian(0.1)
    assert Center().scaled(0.2) == Center()


def test_losses():
    b = batch()
    z = torch.rand_like(b.x)
    model = small().eval()
    clean, perturbed = (functional.cross_entropy(model(x), b.y) for x in (b.x, z))
    robust = RobustClassification(model, Terms(EPS))
    assert torch.equal(robust.leader_loss(b, z), perturbed)
    assert torch.equal(robust.follower_loss(b, z), -perturbed)
    mixed = MixedRobustClassification(model, Terms(EPS), beta=3.0)
    torch.testing.assert_close(mixed.leader_loss(b, z), (clean + 3 * perturbed) / 4)
    assert torch.equal(mixed.follower_loss(b, z), -perturbed)


@pytest.mark.parametrize("eps", [0.0, -0.1, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", [RobustClassification, MixedRobustClassification])
def test_a_radius_out_of_range(kind, eps):
    with pytest.raises(ConfigurationError, match="eps"):
        kind(small(), Terms(eps))


@pytest.mark.parametrize("build", [lambda: Uniform(0.0), lambda: Uniform(-1.0), lambda: Gaussian(float("nan"))])
def test_starts_of_no_size(build):
    with pytest.raises(ConfigurationError, match="Center"):
        build()


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan")])
def test_beta_out_of_range(beta):
    with pytest.raises(ConfigurationError, match="beta"):
        MixedRobustClassification(small(), Terms(EPS), beta=beta)


# Batch norm while the attack is made. Each reference is written with the plain modes of a copy.


def gradient_in(model, b, *, train):
    model.train(train)
    z = b.x.clone().requires_grad_()
    return torch.autograd.grad(functional.cross_entropy(model(z), b.y), z)[0]


@pytest.mark.parametrize(
    ("norm", "batch_statistics", "absorbs"),
    [(TrainModeNorm(), True, 1), (EvalModeNorm(), False, 0), (BatchStatisticsNorm(), True, 0)],
)
def test_statistics_used_and_absorbed_while_attacking(norm, batch_statistics, absorbs):
    model, b = small(), batch()
    model(torch.rand(50, 1, 8, 8, dtype=torch.float64))  # so that running and batch statistics differ
    task = RobustClassification(model, Terms(EPS, norm=norm))
    before = buffers(model)
    gradient = -InnerProblem(task, b, Stay()).gradient(b.x)[1]
    after = buffers(model)
    assert all(m.training for m in model.modules())
    for name, value in before.items():
        moved = after[name] - value
        if name.endswith("num_batches_tracked"):
            assert moved == absorbs
        else:
            assert bool(moved.any()) == bool(absorbs)
    model.load_state_dict(before, strict=False)
    torch.testing.assert_close(gradient, gradient_in(model, b, train=batch_statistics))


@pytest.mark.parametrize(
    ("norm", "batch_statistics"), [(TrainModeNorm(), False), (EvalModeNorm(), False), (BatchStatisticsNorm(), True)]
)
def test_statistics_of_the_attackers_own_turn(norm, batch_statistics):
    model, b = small(), batch()
    model(torch.rand(50, 1, 8, 8, dtype=torch.float64))
    task = RobustClassification(model, Terms(EPS, norm=norm))
    before = buffers(model)
    with task.rule_context():
        gradient = -InnerProblem(task, b, Stay()).gradient(b.x)[1]
        loss = task.loss(b, b.x)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert all(m.training for m in model.modules())
    torch.testing.assert_close(gradient, gradient_in(model, b, train=batch_statistics))
    torch.testing.assert_close(loss, functional.cross_entropy(model.train(batch_statistics)(b.x), b.y))


@pytest.mark.parametrize(
    ("norm", "drops"), [(TrainModeNorm(), True), (EvalModeNorm(), False), (BatchStatisticsNorm(), True)]
)
def test_dropout_is_left_alone_unless_in_evaluation_mode(norm, drops):
    model, b = WideResNet(10, 1, 1, dropout=0.5).double(), batch()
    task = RobustClassification(model, Terms(EPS, norm=norm))
    with task.inner_context():
        assert torch.equal(task.loss(b, b.x), task.loss(b, b.x)) != drops


@pytest.mark.parametrize("norm", [TrainModeNorm(), EvalModeNorm(), BatchStatisticsNorm()])
def test_modes_come_back_after_an_error_and_frozen_layers_stay_frozen(norm):
    model = small()
    frozen = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    frozen.eval()
    task = RobustClassification(model, Terms(EPS, norm=norm))
    for context in (task.inner_context, task.rule_context):
        with pytest.raises(KeyError), context():
            raise KeyError
        assert [m for m in model.modules() if not m.training] == [frozen]
        assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_the_mixed_game_attacks_the_perturbed_images_alone():
    """Its follower climbs the same loss as in the zero-sum game; its leader descends the mixture."""
    model, b = small(), batch()
    norm = BatchStatisticsNorm()  # the passes below move the running statistics
    zero_sum = InnerProblem(RobustClassification(model, Terms(EPS, norm=norm)), b, Stay()).gradient(b.x)[1]
    mixed = MixedRobustClassification(model, Terms(EPS, norm=norm))
    assert torch.equal(InnerProblem(mixed, b, Stay()).gradient(b.x)[1], zero_sum)
    solver = bilevel.Solver(mixed, SignGradient(EPS), leader_optimizer=torch.optim.SGD(model.parameters(), lr=1.0))
    expected = [p.detach().clone() for p in model.parameters()]
    z = solver.follow(b).answer
    clean, perturbed = functional.cross_entropy(model(b.x), b.y), functional.cross_entropy(model(z), b.y)
    gradient = torch.autograd.grad((clean + perturbed) / 2, list(model.parameters()))
    solver.step(b)
    for p, before, g in zip(model.parameters(), expected, gradient, strict=True):
        torch.testing.assert_close(p.detach(), before - g)


def test_the_first_batch_of_a_loop_of_ones_own_is_looked_at():
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6) % 4
    model = SmallConvNet(1, 4, width=2)
    for images, labels, message in [
        (255 * x, y, r"must lie in \[0, 1\]"),
        (x, y + 77, "labels"),
        (torch.full_like(x, float("nan")), y, "NaN"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            RobustClassification(model, Terms(0.1)).loss(ImageBatch(images, labels), images)
    odd = torch.nn.Sequential(model, torch.nn.Unflatten(1, (4, 1)))
    with pytest.raises(ConfigurationError, match=r"logits \(n, classes\) for 6 images, got shape \(6, 4, 1\)"):
        RobustClassification(odd, Terms(0.1)).loss(ImageBatch(x, y), x)
