"""Adversarial interpolation training against loops of plain torch."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.learned import Direction, Small
from bilevel.play import FollowerFirst, Simultaneous
from bilevel.starts import Center, Uniform
from tasks.vision.attacks import Learned
from tasks.vision.data import ImageBatch
from tasks.vision.games import Away, Interpolation, InterpolationTraining, RandomOther, Reversed, Robust, Terms, Towards
from tasks.vision.games.interpolation import interpolated_labels
from tasks.vision.methods import AIT_METHODS, L2L, SignSteps
from tasks.vision.methods.own_attack import OwnAttack
from tasks.vision.networks import SmallConvNet, WithFeatures
from tasks.vision.presets import AIT_CODE, AIT_CODE_2_STEP, AIT_ORIGINAL, AIT_PAPER

EPS, LABEL_EPS = 0.2, 0.4


def batch(n=6):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=torch.float64), torch.arange(n) % 10)


def warm():
    """Return a classifier whose running statistics are not those of a batch."""
    model = SmallConvNet(width=3).double()
    model(torch.rand(50, 1, 8, 8, dtype=torch.float64))
    return model


def solver_of(method, model, lr=1.0):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return method.solver(model, eps=EPS, channels=1, samples=64, leader_optimizer=optimizer)


# The same things once more, image by image.


def labels_by_hand(y, partner, classes, label_eps):
    labels = torch.zeros(len(y), classes, dtype=torch.float64)
    for i, (own, other) in enumerate(zip(y.tolist(), partner.tolist(), strict=True)):
        for c in range(classes):
            labels[i, c] = (1 - label_eps) * (c == own) + label_eps * (1 - (c == other)) / (classes - 1)
    return labels


def loss_by_hand(model, z, labels):
    return -(labels * model(z).log_softmax(1)).sum(1).mean()


def cosine_by_hand(feature, partner):
    return torch.stack([a @ b / (a.norm() * b.norm()) for a, b in zip(feature, partner, strict=True)])


def feature_loss_by_hand(model, z, partners, kind):
    cosine = cosine_by_hand(model.embed(z), model.embed(partners).detach())
    return (1 - cosine).mean() if kind == Towards() else cosine.mean()


def project(x, z):
    return (x + (z - x).clamp(-EPS, EPS)).clamp(0, 1)


def signed_steps_by_hand(model, b, z, partners, *, kind, steps):
    model.eval()
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(feature_loss_by_hand(model, z, partners, kind), z)
        z = project(b.x, z.detach() - EPS * gradient.sign())
    model.train()
    return z


@pytest.mark.parametrize("label_eps", [0.0, 0.5, 0.9, 1.0])
def test_labels_move_away_from_the_partners_class(label_eps):
    y, partner = torch.tensor([0, 1, 2, 2]), torch.tensor([2, 2, 1, 2])
    found = interpolated_labels(y, partner, 4, label_eps, torch.float64)
    torch.testing.assert_close(found, labels_by_hand(y, partner, 4, label_eps))
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64))
    assert found.min() >= 0


def test_the_printed_label_is_the_nearest_to_the_formula_in_the_simplex():
    """Eq. 6 of Jiang et al.: a segment from the label to the even mixture of the classes that are not the partner's."""
    label = interpolated_labels(torch.tensor([0]), torch.tensor([1]), 3, 0.5)
    torch.testing.assert_close(label, torch.tensor([[0.5 + 0.25, 0.0, 0.25]]))


@pytest.mark.parametrize("pairing", [Reversed(), RandomOther()])
def test_partners_are_others_of_the_batch(pairing):
    for n in (2, 4, 8):
        partners = pairing(n, torch.device("cpu"))
        assert partners.shape == (n,)
        assert set(partners.tolist()) <= set(range(n))
        assert not (partners == torch.arange(n)).any()
    assert pairing(1, torch.device("cpu")).tolist() == [0]


def test_the_two_pairings():
    assert Reversed()(5, torch.device("cpu")).tolist() == [4, 3, 2, 1, 0]
    drawn = torch.stack([RandomOther()(4, torch.device("cpu")) for _ in range(3000)])
    counts = torch.stack([(drawn == j).sum(0) for j in range(4)], 1)
    assert counts.diagonal().tolist() == [0] * 4
    off = counts[~torch.eye(4, dtype=torch.bool)]
    assert (off - 1000).abs().max() < 5 * (3000 * (1 / 3) * (2 / 3)) ** 0.5


@pytest.mark.parametrize("kind", [Towards(), Away()])
def test_both_losses(kind):
    model, b = warm().eval(), batch()
    z = torch.rand_like(b.x)
    task = InterpolationTraining(model, Terms(EPS), label_eps=LABEL_EPS, feature_loss=kind)
    leader = loss_by_hand(model, z, labels_by_hand(b.y, b.y.flip(0), 10, LABEL_EPS))
    follower = feature_loss_by_hand(model, z, b.x.flip(0), kind)
    for found in [(task.leader_loss(b, z), task.follower_loss(b, z)), task.losses(b, z)]:
        torch.testing.assert_close(found, (leader, follower))


@pytest.mark.parametrize("kind", [Towards(), Away()])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("start", [Uniform(1.0, feasible=False), Center()])
def test_a_step_is_the_plain_loop_with_either_sign(kind, steps, start):
    model, b = warm(), batch()
    twin = copy.deepcopy(model)
    method = SignSteps(steps=steps, step=1.0, start=start, game=Interpolation(LABEL_EPS, kind))
    solver = solver_of(method, model)
    torch.manual_seed(5)
    record = solver.step(b)
    torch.manual_seed(5)
    z = b.x if start == Center() else b.x + torch.empty_like(b.x).uniform_(-EPS, EPS)
    z = signed_steps_by_hand(twin, b, z, b.x.flip(0), kind=kind, steps=steps)
    loss = loss_by_hand(twin, z, labels_by_hand(b.y, b.y.flip(0), 10, LABEL_EPS))
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=1.0).step()
    torch.testing.assert_close(record.leader_loss, loss.detach())
    for one, other in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    assert all(p.grad is None for p in model.parameters())


def test_the_two_signs_move_the_features_to_and_from_the_partner():
    model, b = warm().eval(), batch()
    partners = b.x.flip(0)
    before = cosine_by_hand(model.embed(b.x), model.embed(partners)).mean()
    after = {}
    for kind in (Towards(), Away()):
        solver = solver_of(SignSteps(steps=1, step=0.1, game=Interpolation(LABEL_EPS, kind)), model)
        answer = solver.follow(b).answer
        after[kind] = cosine_by_hand(model.embed(answer), model.embed(partners)).mean()
    assert after[Towards()] > before > after[Away()]


def test_the_random_partners_of_an_attack_are_those_of_the_labels_too():
    model, b = warm(), batch()
    solver = solver_of(SignSteps(steps=1, step=1.0, game=Interpolation(LABEL_EPS, pairing=RandomOther())), model)
    torch.manual_seed(7)
    answer = solver.follow(b).answer
    torch.manual_seed(7)
    partners = RandomOther()(6, torch.device("cpu"))
    torch.testing.assert_close(answer, signed_steps_by_hand(model, b, b.x, b.x[partners], kind=Towards(), steps=1))
    labels = labels_by_hand(b.y, b.y[partners], 10, LABEL_EPS)
    model.eval()
    torch.testing.assert_close(solver.task.leader_loss(b, answer), loss_by_hand(model, answer, labels))
    assert not torch.equal(solver.follow(b).answer, answer)  # the next attack has partners of its own


# Algorithm 4: a learned attacker.


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


# The own attacker as an attack.


def test_in_the_zero_sum_game_the_own_attacker_is_the_learned_attack():
    model, b = warm(), batch()
    solver = solver_of(L2L(network=Small(width=4), steps=2), model)
    one = Learned(solver.rule, EPS, steps=2)(model, b)
    assert torch.equal(OwnAttack(solver.rule, EPS, Robust(), 2)(model, b), one)
    assert all(m.training for m in (*model.modules(), *solver.rule.modules()))


def test_in_interpolation_the_own_attacker_sees_the_feature_loss():
    model, b = warm(), batch()
    method = replace(AIT_METHODS["grad-l2l"], network=Small(width=4))
    solver = solver_of(method, model)
    attack = OwnAttack(solver.rule, EPS, method.game)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    z = attack(model, b)
    assert torch.equal(z, attack(model, b))
    solver.rule.eval()
    assert torch.equal(z, solver.answer_to(b).answer)
    assert not torch.equal(z, OwnAttack(solver.rule, EPS)(model, b))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {attack.identity} != {OwnAttack(solver.rule, EPS).identity}
    assert attack.identity == OwnAttack(solver.rule, EPS, method.game).identity


# Settings.


def test_the_settings_of_the_papers_and_of_the_codes():
    paper, code = AIT_PAPER.make_method(), AIT_CODE.make_method()
    assert paper.game == Interpolation(0.5, Towards(), RandomOther())
    assert code.game == Interpolation(0.5, Towards(), Reversed())
    assert (paper.start, code.start) == (Center(), Uniform(1.0, feasible=False))
    assert replace(AIT_PAPER, feature="away").make_method().game.feature_loss == Away()
    assert (AIT_PAPER.epochs, AIT_CODE.epochs, AIT_CODE_2_STEP.epochs, AIT_ORIGINAL.epochs) == (200, 76, 300, 200)
    two = AIT_CODE_2_STEP.make_method()
    assert (two.steps, two.game.label_eps) == (2, 0.9)
    assert AIT_ORIGINAL.eps == 8 / 255
    learned = replace(AIT_PAPER, method="grad-l2l").make_method()
    assert learned.play == FollowerFirst(same_answer=True)
    assert any(isinstance(one, Direction) for one in learned.inputs)


def test_a_classifier_without_a_feature_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(ConfigurationError, match=r"Sequential has no embed.*WithFeatures"):
        Interpolation().task(plain, Terms(EPS))
    b = batch(4)
    task = Interpolation().task(WithFeatures(plain, "1").double(), Terms(EPS))
    torch.testing.assert_close(
        task.follower_loss(b, b.x), (1 - cosine_by_hand(b.x.flatten(1), b.x.flip(0).flatten(1))).mean()
    )


@pytest.mark.parametrize("kind", [Towards, Away])
def test_half_precision_features_have_a_loss_in_single_precision(kind):
    feature, partner = (torch.randn(5, 7).bfloat16() for _ in range(2))
    torch.testing.assert_close(kind()(feature, partner), kind()(feature.float(), partner.float()))


def test_a_warm_start_is_refused_since_its_push_is_along_the_leaders_gradient():
    with pytest.raises(ConfigurationError, match=r"other partners.*leave the warm start out"):
        solver_of(SignSteps(steps=1, warm=0.5, game=Interpolation()), warm())


@pytest.mark.parametrize("label_eps", [-0.1, 1.1, float("nan")])
def test_a_label_that_would_leave_the_simplex(label_eps):
    for build in (
        lambda: Interpolation(label_eps),
        lambda: InterpolationTraining(warm(), Terms(EPS), label_eps=label_eps),
    ):
        with pytest.raises(ConfigurationError, match=r"label_eps.*in \[0, 1\]"):
            build()


def test_the_first_batch_is_looked_at():
    b = batch(4)
    with pytest.raises(ConfigurationError, match=r"must lie in \[0, 1\]"):
        InterpolationTraining(warm(), Terms(EPS)).leader_loss(b._replace(x=2 * b.x), b.x)
