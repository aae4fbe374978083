"""A follower with many answers: the start chooses, and damping solves for a share."""

from __future__ import annotations

import pytest
import torch
from drawn_games import assert_close, draw_game, seeds, slope, somewhere
from hypothesis import given
from hypothesis import strategies as st

from tasks.toy import ManySolutions


@given(seeds)
def test_of_many_solutions_the_start_chooses(seed):
    game = draw_game("many", seed)
    theta, other = somewhere(game, seed)
    a = game.direction
    answer = game.answer(theta)
    across = torch.linalg.qr(torch.cat([a[:, None], torch.eye(len(a)).double()], 1)).Q[:, 1:]
    assert_close(across.T @ (answer - game.z), torch.zeros(len(a) - 1).double())  # straight along a: the nearest answer
    # After a detour over another θ it is the same.
    detour = ManySolutions(0.0, game.answer(other[0]).detach(), direction=a, weights=game.weights, target=game.target)
    assert_close(detour.answer(theta), answer)
    # What the leader would have chosen, a minimum over z and over θ.
    best, z = game.optimistic
    assert_close(a @ z, best)
    assert game.leader_value(best, z) <= game.hyperobjective(game.solution[0]) + 1e-12
    push = game.weights * (z - game.target)
    assert_close(push, a * (a @ push) / (a @ a))  # ∂_z ℓ has no part along the plane
    assert_close(game.cost * best + a @ push / (a @ a), torch.zeros_like(best))
    # A follower that begins there stays there, and then the leader has its wish.
    lucky = ManySolutions(0.0, z, direction=a, weights=game.weights, target=game.target, cost=game.cost)
    assert_close(lucky.solution[0], best)
    assert_close(lucky.solution[1], z)


@given(seeds, st.floats(1e-6, 10))
def test_damping_gives_its_share_of_the_answers_derivative(seed, damping):
    game = draw_game("many", seed)
    theta, z = somewhere(game, seed)
    by_theta, by_z = torch.autograd.grad(game.leader_value(theta, z), (theta, z))
    square = float(game.direction @ game.direction)
    identity = torch.eye(len(z), dtype=torch.float64)
    solved = torch.linalg.solve(torch.outer(game.direction, game.direction) + damping * identity, by_z)
    found = game.hypergradient(theta, z, damping=damping)
    assert float(found.detach()) == pytest.approx(float(by_theta + game.direction @ solved), rel=1e-6, abs=1e-6)
    exact = game.hypergradient(theta, z)
    share = square / (square + damping)
    assert_close(found - by_theta, share * (exact - by_theta))


def test_without_damping_the_singular_system_has_no_solution():
    game = ManySolutions()
    theta = torch.tensor(0.7, dtype=torch.float64)
    z = game.answer(theta).requires_grad_()
    by_z = slope(game.leader_value(theta, z), z)
    hessian = torch.autograd.functional.hessian(lambda at: game.follower_value(theta, at), z)
    assert torch.linalg.matrix_rank(hessian) == 1
    least = torch.linalg.lstsq(hessian, by_z[:, None], driver="gelsd").solution[:, 0]
    assert float((hessian @ least - by_z).norm()) > 0.1 * float(by_z.norm())  # the best v leaves a residual
