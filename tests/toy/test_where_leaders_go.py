"""To Nash goes a leader that takes the answer for a constant, to the solution one that does not."""

from __future__ import annotations

import pytest
import torch
import torchopt
from drawn_games import KINDS, assert_close, draw_game, slope

import bilevel
from tasks.toy import jacobian, play


def solve(game, step, steps, move_leader):
    """Simultaneous steps by hand."""
    theta, z = game.leader.detach().clone(), game.z
    for _ in range(steps):
        at_theta, at = theta.clone().requires_grad_(), z.clone().requires_grad_()
        push = slope(game.follower_value(theta, at), at)
        theta, z = theta - step * move_leader(at_theta, z).detach(), z - step * push
    return theta, z


@pytest.mark.parametrize("kind", ["duopoly", "many"])
def test_a_leader_that_takes_the_answer_for_a_constant_goes_to_nash(kind):
    game = draw_game(kind, 5)
    step = 0.5 / float(torch.linalg.eigvals(jacobian(game, game.leader.detach(), game.z)).abs().max())
    solver = bilevel.Solver(game, torchopt.sgd(lr=step), leader_optimizer=torch.optim.SGD([game.leader], lr=step))
    nash = game.nash
    one = play(solver, 1000, every=1000)
    assert_close(one.x[-1], nash[0].reshape(-1), 1e-9)
    assert_close(one.y[-1], nash[1].reshape(-1), 1e-9)
    assert float(one.distance[0]) == game.distance(one.x[0].reshape(game.leader.shape), game.z)
    assert float(one.distance[-1]) == pytest.approx(game.distance(*nash), abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_leader_that_moves_along_the_hypergradient_goes_to_the_solution(kind):
    game = draw_game(kind, 5)
    step = 0.5 / float(torch.linalg.eigvals(jacobian(game, game.leader.detach(), game.z)).abs().max())
    theta, z = solve(game, step, 2000, game.hypergradient)
    assert game.distance(theta, z) < 1e-9
