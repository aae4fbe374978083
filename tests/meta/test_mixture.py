"""Adversarial examples at the weights of the moment, and the loss that they are mixed into."""

from __future__ import annotations

import pytest
import torch
from meta_cases import ATTACK, MIXED, Small, images, problem, reference_loss, whole
from torch import nn

from bilevel.errors import ConfigurationError
from tasks.meta.attack import ATTACKS, SignAttack
from tasks.meta.mixture import CLEAN, Mixture
from tasks.meta.networks import Perceptron, ThreeConvolutions
from tasks.meta.problems import Classification
from tasks.meta.quadratics import QuadraticProblem, draw_quadratics
from tasks.vision.attacks import fgsm

MIXTURES = [
    CLEAN,
    MIXED,
    Mixture(0.0, ATTACK),
    Mixture(0.5, SignAttack(0.3, 7, 0.25)),
    Mixture(0.5, SignAttack(0.3, 2)),
]


@pytest.mark.parametrize("mixture", MIXTURES)
def test_the_loss_and_its_gradient_are_those_of_the_formula(mixture):
    pool = images()
    z = {name: w.clone().requires_grad_() for name, w in problem(pool).start().items()}
    found, expected = mixture.loss(Small(), z, whole(pool)), reference_loss(z, whole(pool), mixture)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    pairs = zip(torch.autograd.grad(found, z.values()), torch.autograd.grad(expected, z.values()), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-15)


def test_the_attack_on_a_linear_classifier_moves_each_pixel_by_the_radius_along_its_slope():
    pool = images(count=2, classes=2)
    weight = torch.tensor([[1.0, -2.0, 0.5, -0.1], [-1.0, 2.0, 3.0, -0.2]], dtype=torch.float64)
    batch = pool.batch()._replace(x=torch.full((2, 1, 2, 2), 0.5))

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros_like(weight))

        def forward(self, x):
            return x.flatten(1).double() @ self.weight.T

    moved = SignAttack(0.1)(Linear(), {"weight": weight}, batch)
    # Of the class 0 the loss rises along w_1 - w_0, of the class 1 against it.
    slopes = torch.stack([weight[1] - weight[0], weight[0] - weight[1]])
    torch.testing.assert_close(moved, (0.5 + 0.1 * slopes.sign()).reshape(2, 1, 2, 2).float())


def test_fgsm_is_that_of_the_vision_task():
    pool, network = images(), Small()
    weights = {name: p.detach() for name, p in network.named_parameters()}
    batch = whole(pool)
    assert torch.equal(SignAttack(0.2)(Small(), weights, batch), fgsm(0.2)(network, batch))


@pytest.mark.parametrize("name", ATTACKS)
def test_examples_stay_in_the_ball_and_in_the_range(name):
    pool, network = images(count=30), Small()
    attack = SignAttack(0.3, *ATTACKS[name])
    weights = {key: p.detach().requires_grad_() for key, p in network.named_parameters()}
    batch = whole(pool)
    moved = attack(network, weights, batch)
    assert not moved.requires_grad
    assert all(w.grad is None for w in weights.values())
    assert (moved - batch.x).abs().max() == pytest.approx(0.3, abs=1e-6)
    assert 0 <= moved.min() <= moved.max() <= 1


def test_a_share_of_the_radius():
    pool, network = images(), Small()
    weights = {name: p.detach() for name, p in network.named_parameters()}
    half = Mixture(0.4, SignAttack(0.1)).loss(network, weights, whole(pool))
    assert torch.equal(MIXED.loss(network, weights, whole(pool), share=0.5), half)
    assert torch.equal(MIXED.loss(network, weights, whole(pool), share=0.0), CLEAN.loss(network, weights, whole(pool)))


def test_what_a_gradient_costs():
    assert [mixture.passes for mixture in MIXTURES] == [1, 2, 2, 8, 3]


def test_batch_norm_s_network_is_its_weights_and_nothing_else():
    network = ThreeConvolutions(3, 10, size=9, width=4, hidden=5)
    assert not list(network.buffers())
    x = torch.rand(6, 3, 9, 9)
    network.train()
    before = network(x)
    assert torch.equal(network.eval()(x), before)
    assert sorted({name.split(".")[0] for name, _ in network.named_parameters()}) == [
        "classify",
        "convolutions",
        "linear",
    ]


def test_the_paper_s_perceptron_has_its_size():
    assert sum(p.numel() for p in Perceptron(784).parameters()) == 784 * 20 + 20 + 20 * 10 + 10
    assert [name for name, _ in Perceptron(4, hidden=()).named_parameters()] == ["classify.weight", "classify.bias"]


def test_measuring_goes_by_pieces_to_the_same_numbers():
    pool = images(count=10)
    whole_at_once = Classification(Small, batch_size=10)
    pieces = Classification(Small, batch_size=10, evaluation_batch=3)
    weights = whole_at_once.start()
    once, apart = (one.measure(weights, pool, ATTACK) for one in (whole_at_once, pieces))
    assert once.keys() == {"clean_loss", "clean", "adversarial_loss", "robust"}
    assert apart == pytest.approx(once, rel=1e-6)
    expected = reference_loss(weights, whole(pool), Mixture(0.0, ATTACK))
    assert once["adversarial_loss"] == pytest.approx(float(expected), rel=1e-6)


def test_a_quadratic_s_loss_is_the_sum_of_the_squares():
    pool = draw_quadratics(3, 2, torch.Generator().manual_seed(0))
    problem = QuadraticProblem(3, 2)
    z = {"z": torch.ones(3, 2)}
    expected = sum(float(((w @ torch.ones(2)) - y).square().sum()) for w, y in zip(*pool, strict=True))
    assert float(problem.loss(z, pool, CLEAN)) == pytest.approx(expected)
    assert problem.measure(z, pool, None)["clean_loss"] == pytest.approx(expected / 3)
    with pytest.raises(ConfigurationError, match="Quadratics have no images to perturb"):
        problem.loss(z, pool, MIXED)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture(1.5), r"in \[0, 1\]; got 1.5"),
        (lambda: Mixture(0.5), "name an attack, or alpha 1"),
        (lambda: SignAttack(0.0), "above 0 and at most 1"),
        (lambda: SignAttack(0.1, 0), "steps must be a whole number from 1"),
        (lambda: SignAttack(0.1, 2, 0.0), "in radii, got 0.0"),
        (lambda: Perceptron(4, hidden=(0,)), "hidden layers have at least 1 unit"),
        (lambda: Perceptron(4, activation="rleu"), "Did you mean relu"),
        (lambda: ThreeConvolutions(size=4), "at least, got 4 x 4"),
        (lambda: Classification(Small, 0), "Batches hold at least 1 image"),
    ],
)
def test_what_is_out_of_range_is_said(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
