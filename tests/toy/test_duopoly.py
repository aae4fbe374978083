"""The duopoly in figures, and within its bound."""

from __future__ import annotations

import pytest
import torch
import torchopt
from drawn_games import seeds, vector
from hypothesis import given

import bilevel
from tasks.toy import Duopoly, jacobian, play


@given(seeds)
def test_duopoly_in_figures(seed):
    margin, b = 0.5 + seed / 1000, 0.3 + (seed % 7)
    game = Duopoly(leader_margin=margin, follower_margin=margin, slope=b)
    for point, shares in ((game.nash, (9, 9)), (game.solution, (8, 16))):
        losses = game.leader_value(*point), game.follower_value(*point)
        for loss, share in zip(losses, shares, strict=True):
            assert float(loss) == pytest.approx(-(margin**2) / (share * b), rel=1e-12)
    theta, z = (place.requires_grad_() for place in game.nash)
    eigenvalues = sorted(torch.linalg.eigvals(jacobian(game, theta, z)).real.tolist())
    assert eigenvalues == pytest.approx([-3 * b, -b], rel=1e-12)
    total = torch.autograd.functional.jacobian(lambda at: game.hypergradient(at[0], at[1]), vector(0.3, 0.4))
    flow = -torch.stack([total, vector(b, 2 * b)])
    assert float(torch.trace(flow)) == pytest.approx(-3.5 * b, rel=1e-12)
    assert float(torch.linalg.det(flow)) == pytest.approx(2 * b * b, rel=1e-12)


def test_a_bound_keeps_the_follower():
    game = Duopoly(1.0, 0.1, bound=0.25)
    assert float(game.project(None, torch.tensor(3.0).double())) == 0.25
    solver = bilevel.Solver(game, torchopt.sgd(lr=5.0), leader_optimizer=torch.optim.SGD([game.leader], lr=1e-3))
    assert float(play(solver, 3).y.abs().max()) == 0.25
