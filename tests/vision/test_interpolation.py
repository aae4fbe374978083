"""Adversarial interpolation training with sign steps against loops of plain torch."""

from __future__ import annotations

import copy

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
    signed_steps_by_hand,
    solver_of,
    warm,
)

from bilevel.starts import Center, Uniform
from tasks.vision.games import Away, Interpolation, InterpolationTraining, RandomOther, Reversed, Terms, Towards
from tasks.vision.methods import SignSteps


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


@pytest.mark.parametrize("kind", [Towards, Away])
def test_half_precision_features_have_a_loss_in_single_precision(kind):
    feature, partner = (torch.randn(5, 7).bfloat16() for _ in range(2))
    torch.testing.assert_close(kind()(feature, partner), kind()(feature.float(), partner.float()))
