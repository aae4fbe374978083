"""The general-sum games: every closed form against autograd."""

from __future__ import annotations

import pytest
import torch
from drawn_games import KINDS, assert_close, draw_game, seeds, slope, somewhere
from hypothesis import given


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_the_answer_is_one_and_the_hypergradient_is_autograds(kind, seed):
    game = draw_game(kind, seed)
    theta, _ = somewhere(game, seed)
    z = game.answer(theta)
    at = z.detach().requires_grad_()
    assert_close(slope(game.follower_value(theta, at), at), torch.zeros_like(at))
    assert_close(game.hypergradient(theta), slope(game.hyperobjective(theta), theta))


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_away_from_the_answer_the_hypergradient_is_implicit_differentiations(kind, seed):
    r"""∂_θ ℓ - (∂_θ ∂_z q)ᵀ (∂_z ∂_z q)⁺ ∂_z ℓ, the pseudo-inverse where the Hessian is singular."""
    game = draw_game(kind, seed)
    theta, z = somewhere(game, seed)
    by_theta, by_z = torch.autograd.grad(game.leader_value(theta, z), (theta, z))
    hessian = torch.autograd.functional.hessian(lambda at: game.follower_value(theta, at), z).reshape(z.numel(), -1)
    through = torch.linalg.pinv(hessian, hermitian=True) @ by_z.reshape(-1)
    push = slope(game.follower_value(theta, z), z, create_graph=True)
    assert_close(game.hypergradient(theta, z), by_theta - slope(push.reshape(-1) @ through.detach(), theta))


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_the_solution_is_the_least_of_the_hyperobjective(kind, seed):
    game = draw_game(kind, seed)
    theta, z = game.solution
    assert_close(z, game.answer(theta))
    assert_close(game.hypergradient(theta), torch.zeros_like(theta))
    assert game.distance(theta, z) == 0
    other, _ = somewhere(game, seed)
    assert game.distance(other.detach(), z) == pytest.approx(float((other - theta).detach().norm()), rel=1e-12)
    curved = torch.autograd.functional.hessian(game.hyperobjective, theta).reshape(theta.numel(), -1)
    assert torch.linalg.eigvalsh(curved)[0] > 0  # F is a quadratic, so that this makes it the minimum
    assert game.hyperobjective(other.detach()) > game.hyperobjective(theta)


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_at_the_nash_point_nobody_is_pushed_and_the_leader_has_no_less(kind, seed):
    game = draw_game(kind, seed)
    theta, z = (place.requires_grad_() for place in game.nash)
    scale = 1 + float(theta.detach().abs().max())  # the point may lie far off
    assert_close(slope(game.leader_value(theta, z), theta) / scale, torch.zeros_like(theta))
    assert_close(slope(game.follower_value(theta, z), z) / scale, torch.zeros_like(z))
    assert game.leader_value(theta, z) >= game.hyperobjective(game.solution[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_unroll_is_the_closed_form(kind):
    game = draw_game(kind, 3)
    theta, _ = somewhere(game, 3)
    at = game.z.clone().requires_grad_()
    hessian = torch.autograd.functional.hessian(lambda z: game.follower_value(theta, z), at).reshape(at.numel(), -1)
    step = 1 / float(torch.linalg.eigvalsh(hessian)[-1])
    with torch.no_grad():
        z = game.z
    for _ in range(400):
        z = z if z.requires_grad else z.clone().requires_grad_()
        z = z - step * slope(game.follower_value(theta, z), z, create_graph=True)
    assert_close(z, game.answer(theta))
    assert_close(slope(game.leader_value(theta, z), theta), game.hypergradient(theta))
