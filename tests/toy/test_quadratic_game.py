"""The quadratic game: a few steps in closed form, its conditioning and its parts."""

from __future__ import annotations

import math

import pytest
import torch
from drawn_games import assert_close, draw_game, seeds, slope, somewhere, vector
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import ConfigurationError
from tasks.toy import QuadraticQuadratic


@given(seeds, st.integers(0, 12), st.floats(0.01, 1.9))
def test_a_few_steps_on_the_quadratic_are_its_closed_forms(seed, steps, size):
    game = draw_game("quadratic", seed)
    theta, _ = somewhere(game, seed)
    z, share = game.z, torch.zeros_like(game.hessian)
    for _ in range(steps):
        z = z - size * (game.hessian @ z - game.coupling @ theta - game.offset)
        share = share + size * torch.linalg.matrix_power(torch.eye(len(z)).double() - size * game.hessian, _)
    assert_close(game.answer_after(theta, steps, size), z)
    found = game.unrolled_hypergradient(theta, steps, size)
    assert_close(found, slope(game.leader_value(theta, z), theta))
    # The Neumann series of as many terms, at the same point.
    at = z.detach().requires_grad_()
    by_theta, by_z = torch.autograd.grad(game.leader_value(theta, at), (theta, at))
    assert_close(found, by_theta + game.coupling.T @ share @ by_z)


@given(seeds, st.integers(1, 6), st.integers(1, 6), st.floats(1, 1e4))
def test_a_random_quadratic_has_the_stated_conditioning(seed, n, m, condition):
    game = QuadraticQuadratic.random(seed, leader_size=n, follower_size=m, condition=condition)
    for matrix in (game.hessian, game.weight, game.cost):
        values = torch.linalg.eigvalsh(matrix)
        assert float(values[0]) == pytest.approx(1 / condition, rel=1e-8)
        if len(values) > 1:
            assert float(values[-1]) == pytest.approx(1, rel=1e-10)
            assert torch.allclose(values[1:] / values[:-1], values[1] / values[0], rtol=1e-7, atol=0)
    singular = torch.linalg.svdvals(torch.linalg.solve(game.hessian, game.coupling))
    assert torch.allclose(singular, torch.ones_like(singular), rtol=1e-8, atol=0)
    values = torch.linalg.eigvalsh(game.leader_hessian)
    assert 1 / (2 * condition) * (1 - 1e-6) <= float(values[0])
    assert float(values[-1]) <= 3 + 1e-9
    joint = torch.cat([torch.cat([game.cost, game.cross], 1), torch.cat([game.cross.T, game.weight], 1)])
    assert float(torch.linalg.eigvalsh(joint)[0]) >= 1 / (2 * condition) * (1 - 1e-6)


def test_the_seed_decides_the_quadratic_and_nobody_elses_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, again, other = (QuadraticQuadratic.random(seed).hessian for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hessian": torch.diag(vector(1.0, -1.0))}, "no single answer.*eigenvalue -1"),
        ({"hessian": torch.ones(2, 3).double()}, r"hessian must be finite and of shape \(2, 2\)"),
        ({"weight": torch.ones(2, 2).double().triu()}, "weight must be symmetric"),
        ({"cost": -torch.eye(1).double()}, "no solution"),
        ({"cross": vector(math.nan, 0.0)[None]}, "cross must be finite"),
        ({"theta": 1.0}, "vector of one"),
    ],
)
def test_a_quadratic_game_says_which_part_is_wrong(change, words):
    settings = {
        "theta": vector(1.0),
        "z": vector(0.0, 0.0),
        "hessian": torch.eye(2).double(),
        "coupling": torch.zeros(2, 1).double(),
        "offset": vector(1.0, 1.0),
        "weight": torch.eye(2).double(),
        "target": vector(0.0, 1.0),
        "cost": torch.eye(1).double(),
        "cross": torch.zeros(1, 2).double(),
    }
    QuadraticQuadratic(**settings)
    with pytest.raises(ConfigurationError, match=words):
        QuadraticQuadratic(**{**settings, **change})
