from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bilevel
from bilevel import ConfigurationError, box, l2_ball, linf_ball, simplex


def draw(seed: int, *shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PROJECTIONS = {
    "linf": lambda z: linf_ball(z, center=draw(99, 4, 5), radius=0.7),
    "l2": lambda z: l2_ball(z, center=draw(99, 4, 5), radius=0.7),
    "box": lambda z: box(z, low=-0.5, high=1.0),
    "simplex": simplex,
}


@pytest.mark.parametrize("project", PROJECTIONS.values(), ids=PROJECTIONS.keys())
@given(seed=st.integers(0, 10_000))
def test_a_projection_is_idempotent_and_does_not_spread_points(project, seed):
    z, w = draw(seed, 4, 5), draw(seed + 1, 4, 5)
    torch.testing.assert_close(project(project(z)), project(z), rtol=0, atol=1e-12)
    assert (project(z) - project(w)).norm() <= (z - w).norm() + 1e-12


@pytest.mark.parametrize("project", PROJECTIONS.values(), ids=PROJECTIONS.keys())
@given(seed=st.integers(0, 10_000))
def test_a_projection_is_the_nearest_feasible_point(project, seed):
    """The obtuse angle criterion characterises it: <z - Pz, w - Pz> <= 0 for every feasible w, row by row."""
    z, w = draw(seed, 4, 5), project(draw(seed + 1, 4, 5))
    assert (((z - project(z)) * (w - project(z))).sum(1) <= 1e-12).all()


def test_linf_ball_is_the_clip_of_the_authors_code_not_the_printed_formula():
    z = torch.tensor([0.5, -0.5, 0.01], dtype=torch.float64)
    moved = linf_ball(z, center=torch.zeros(3, dtype=torch.float64), radius=0.031)
    assert moved.tolist() == [0.031, -0.031, 0.01]


def test_l2_ball_takes_each_row_by_itself_and_has_a_gradient_at_its_center():
    z = torch.tensor([[3.0, 4.0], [0.3, 0.4]], dtype=torch.float64)
    center = torch.zeros(2, 2, dtype=torch.float64)
    torch.testing.assert_close(
        l2_ball(z, center=center, radius=1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4]], dtype=torch.float64)
    )
    at_center = center.clone().requires_grad_()
    l2_ball(at_center, center=center, radius=1.0).sum().backward()
    assert torch.equal(at_center.grad, torch.ones_like(center))


def test_simplex_by_hand():
    z = torch.tensor([[0.5, 0.5, 1.0], [9.0, 0.0, 0.0]], dtype=torch.float64)
    third = 1 / 6
    expected = torch.tensor([[third, third, third + 0.5], [1.0, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(simplex(z), expected)


@pytest.mark.parametrize("radius", [-0.1, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius):
    z = torch.zeros(2, 2)
    for ball in (linf_ball, l2_ball):
        with pytest.raises(ConfigurationError, match="radius"):
            ball(z, center=z, radius=radius)


def test_an_empty_box_is_refused():
    with pytest.raises(ConfigurationError, match="low must be below high"):
        bilevel.box(torch.zeros(2), low=1.0, high=1.0)
