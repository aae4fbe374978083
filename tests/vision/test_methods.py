"""The methods against hand-written loops: the same images, the same gradients, the same batch-norm statistics."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.learned import BatchMax, Convolutional, Direction, Iterate, SampleRMS, Small
from bilevel.play import LeaderFirst, Simultaneous
from bilevel.rules import Rule, SignGradient
from bilevel.rules.stay import Stay
from bilevel.starts import Center, Gaussian, Uniform
from tasks.vision.data import ImageBatch
from tasks.vision.games import Mixed, Trades
from tasks.vision.methods import L2L, METHODS, PerImage, Plain, SignSteps, Stability
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import EvalModeNorm, TrainModeNorm
from tasks.vision.presets import CODE, PAPER

EPS = 0.2


def batch(n=6, dtype=torch.float32):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=dtype), torch.arange(n) % 10)


def warm(dtype=torch.float32):
    """Return a classifier whose running statistics are not those of a batch."""
    model = SmallConvNet(width=3).to(dtype)
    model(torch.rand(50, 1, 8, 8, dtype=dtype))
    return model


def solver_of(method, model, lr=0.1, **settings):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **settings)
    return method.solver(model, eps=EPS, channels=1, samples=64, leader_optimizer=optimizer)


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


# Learned attackers, with everything written out once more.


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


# The authors' training code: what the batch norms absorb in each of its two passes.


def seen(module):
    counts = {int(m.num_batches_tracked) for m in module.modules() if isinstance(m, nn.BatchNorm2d)}
    assert len(counts) == 1
    return counts.pop()


@pytest.mark.parametrize(
    ("name", "classifier", "attacker"), [("grad-l2l", (2, 0), (0, 1)), ("2-step-l2l", (3, 0), (0, 2))]
)
@pytest.mark.parametrize("network", [Small(width=4), None], ids=["small", "as-in-the-code"])
def test_batch_norms_absorb_what_they_do_in_the_authors_code(name, classifier, attacker, network):
    method = replace(CODE, method=name).make_method()
    method = method if network is None else replace(method, network=network)
    assert method.play == LeaderFirst()
    model, b = SmallConvNet(width=3), batch(2)
    solver = solver_of(method, model)
    between = []
    solver.leader_update.optimizer.register_step_pre_hook(lambda *_: between.append((seen(model), seen(solver.rule))))
    solver.step(b)
    ((model_first, rule_first),) = between
    assert (model_first, seen(model) - model_first) == classifier
    assert (rule_first, seen(solver.rule) - rule_first) == attacker


@pytest.mark.parametrize(("name", "classifier", "attacker"), [("grad-l2l", (2, 0), 1), ("2-step-l2l", (3, 0), 2)])
def test_in_algorithm_3_both_players_move_on_the_images_of_one_generation(name, classifier, attacker):
    """The preset of the paper: nothing is made anew for the attacker's turn, whose pass is in evaluation mode."""
    method = replace(replace(PAPER, method=name).make_method(), network=Small(width=4))
    assert method.play == LeaderFirst(same_answer=True)
    model, b = SmallConvNet(width=3), batch(2)
    solver = solver_of(method, model)
    between = []
    solver.leader_update.optimizer.register_step_pre_hook(lambda *_: between.append((seen(model), seen(solver.rule))))
    solver.step(b)
    ((model_first, rule_first),) = between
    assert (model_first, seen(model) - model_first) == classifier
    assert (rule_first, seen(solver.rule)) == (attacker, attacker)
    assert all(m.training for m in (*model.modules(), *solver.rule.modules()))
    assert all(p.grad is None for p in (*model.parameters(), *solver.rule.parameters()))


def test_by_default_the_running_statistics_describe_the_images_that_are_learned():
    model, b = SmallConvNet(width=3), batch()
    twin = copy.deepcopy(model)
    solver = solver_of(L2L(network=Small(width=4), steps=2, norm=EvalModeNorm()), model)
    z = solver.follow(b).answer.detach()  # moves the attacker's running statistics, which it does not use in training
    solver.step(b)
    assert seen(model) == 1
    twin(z)
    for (name, one), (_, other) in zip(model.named_buffers(), twin.named_buffers(), strict=True):
        assert torch.equal(one, other), name


# Objects, names and presets.


def test_names_stand_for_the_methods_of_the_paper():
    assert [name for name, m in METHODS.items() if isinstance(m, L2L) and m.steps == 2] == [
        "2-step-l2l",
        "2-step-grad-only-l2l",
    ]
    kinds = {name: tuple(map(type, m.inputs)) for name, m in METHODS.items() if isinstance(m, L2L)}
    assert kinds == {
        "naive-l2l": (Iterate,),
        "grad-l2l": (Iterate, Direction),
        "grad-only-l2l": (Direction,),
        "2-step-l2l": (Iterate, Direction),
        "2-step-grad-only-l2l": (Direction,),
        "k-step-l2l": (Iterate, Direction),
        "warm-l2l": (Iterate, Direction, Direction),
    }
    assert METHODS["fgsm"] == SignSteps(steps=1, step=1.0, start=Center())


def test_the_papers_settings():
    method = replace(PAPER, method="grad-l2l").make_method()
    solver = solver_of(method, SmallConvNet(3, width=3))
    attacker = method.rule(0.031, 3)
    assert isinstance(attacker, Convolutional)
    assert attacker.scale == 0.031
    assert sum(p.numel() for p in attacker.parameters()) == pytest.approx(1.631e6, rel=1e-3)
    assert [type(one) for one in attacker.inputs] == [Iterate, Direction]
    assert attacker.inputs[1].preprocess == PerImage()
    group = solver.rule_optimizer.param_groups[0]
    assert isinstance(solver.rule_optimizer, torch.optim.Adam)
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 2e-4)
    assert solver.play == LeaderFirst(same_answer=True)
    pgm = replace(PAPER, method="pgm").make_method()
    model = SmallConvNet(3, width=3)
    solver = pgm.solver(
        model, eps=0.031, channels=3, samples=64, leader_optimizer=torch.optim.SGD(model.parameters(), lr=0.1)
    )
    assert solver.steps == 10
    assert torch.tensor(solver.rule.step) == torch.tensor(0.007)
    assert solver.task.threat.begin == Center()


def test_the_settings_of_the_authors_code():
    method = replace(CODE, method="grad-l2l").make_method()
    assert sum(p.numel() for p in method.rule(0.031, 3).parameters()) == pytest.approx(1.748e6, rel=1e-3)
    assert method.inputs[1].preprocess == BatchMax()
    assert method.norm == TrainModeNorm()
    pgm = replace(CODE, method="pgm").make_method()
    assert (pgm.game, pgm.norm, pgm.steps) == (Mixed(1.0), EvalModeNorm(), 10)
    assert pgm.start.scaled(0.031).std == pytest.approx(0.001)
    assert pgm.step * 0.031 == pytest.approx(0.003)


def test_the_gradient_of_each_images_own_loss():
    model, b = warm(torch.float64).eval(), batch(dtype=torch.float64)
    z = b.x.clone().requires_grad_()
    (mean,) = torch.autograd.grad(functional.cross_entropy(model(z), b.y), z)
    (own,) = torch.autograd.grad(functional.cross_entropy(model(z), b.y, reduction="sum"), z)
    torch.testing.assert_close(PerImage()(mean)[0], own)


@pytest.mark.parametrize(
    "method", [SignSteps(start=Uniform(0.5)), L2L(start=Uniform(0.5)), SignSteps(start=Uniform(0.5), game=Mixed(1.0))]
)
def test_starts_go_with_the_radius(method):
    assert solver_of(method, SmallConvNet(width=3)).task.threat.begin == Uniform(0.5 * EPS)


def test_an_attacker_goes_where_the_classifier_is():
    solver = solver_of(L2L(), SmallConvNet(width=3).double())
    assert {p.dtype for p in solver.rule.parameters()} == {torch.float64}


@pytest.mark.parametrize(
    "build",
    [
        lambda: SignSteps(steps=0),
        lambda: SignSteps(step=0.0),
        lambda: SignSteps(step=float("nan")),
        lambda: Mixed(-1.0),
        lambda: Trades(0.0),
        lambda: Stability(alpha=0.0),
        lambda: Stability(noise=float("inf")),
        lambda: L2L(steps=0),
        lambda: L2L(scale=-0.5),
    ],
)
def test_settings_out_of_range(build):
    with pytest.raises(ConfigurationError, match="above 0"):
        build()


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_values(name):
    assert METHODS[name] == replace(METHODS[name])
    assert SignGradient(0.1) == SignGradient(0.1)
    assert SampleRMS() == SampleRMS()
