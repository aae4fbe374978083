"""Random general-sum games, places in them, and their slopes."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from tasks.toy import BilevelGame, Duopoly, ManySolutions, QuadraticQuadratic

seeds = st.integers(0, 10_000)
KINDS = ("duopoly", "quadratic", "many")


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def draw_game(kind, seed) -> BilevelGame:
    """A random game of the kind."""
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randn(5, generator=draw, dtype=torch.float64).tolist()
    if kind == "duopoly":
        theta, z, first, second, slope = numbers
        return Duopoly(theta, z, leader_margin=first, follower_margin=second, slope=0.1 + abs(slope))
    if kind == "quadratic":
        sizes = torch.randint(1, 6, (2,), generator=draw).tolist()
        return QuadraticQuadratic.random(
            seed, leader_size=sizes[0], follower_size=sizes[1], condition=1 + 20 * abs(numbers[0])
        )
    size = int(torch.randint(2, 6, (), generator=draw))
    z, direction, weights, target = torch.randn(4, size, generator=draw, dtype=torch.float64)
    return ManySolutions(
        numbers[0],
        z,
        direction=direction,
        weights=0.2 + weights.abs(),
        target=target,
        cost=0.1 + abs(numbers[1]),
    )


def somewhere(game, seed):
    draw = torch.Generator().manual_seed(seed + 1)
    theta, z = (torch.randn(p.shape, generator=draw, dtype=torch.float64) for p in (game.leader, game.z))
    return theta.requires_grad_(), z.requires_grad_()


def slope(value, place, **settings):
    (found,) = torch.autograd.grad(value, place, **settings)
    return found


def assert_close(found, expected, tolerance=1e-10):
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance), (found, expected)
