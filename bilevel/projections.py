"""Projections onto the feasible sets that follower problems have most often."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError


def linf_ball(z: Float[Tensor, "*shape"], *, center: Float[Tensor, "*shape"], radius: float) -> Float[Tensor, "*shape"]:
    """Project onto ``{z : max_i |z_i - center_i| <= radius}``.

    ``center + clip(z - center, -radius, radius)``, the projection that adversarial training needs. (The
    formula printed in Jiang et al. 2021, section 1, has ``max`` where it must have ``min``.)

    Args:
        z: the points.
        center: the centre of the ball for each of them.
        radius: the radius, in the units of ``z``; at least 0.

    Returns:
        The nearest feasible points. The derivative is 1 inside the ball and on its border, 0 outside.

    Raises:
        ConfigurationError: for a negative or non-finite radius.
    """
    _check_radius(radius)
    return center + (z - center).clamp(-radius, radius)


def l2_ball(
    z: Float[Tensor, "n *shape"], *, center: Float[Tensor, "n *shape"], radius: float
) -> Float[Tensor, "n *shape"]:
    """Project each row onto ``{z : |z - center|_2 <= radius}``.

    ``center + (z - center) · min(1, radius / |z - center|_2)``, the norm taken over all but the first axis.

    Args:
        z: the points, one a row.
        center: the centre of the ball for each of them.
        radius: the radius, in the units of ``z``; at least 0.

    Returns:
        The nearest feasible points; at the centre itself the derivative is 1.

    Raises:
        ConfigurationError: for a negative or non-finite radius.
    """
    _check_radius(radius)
    offset = z - center
    squared = offset.square().flatten(1).sum(1)
    outside = squared > radius**2
    # The root is taken only where it is needed: its derivative at 0 is infinite.
    length = torch.where(outside, squared, torch.ones_like(squared)).sqrt()
    scale = torch.where(outside, radius / length, torch.ones_like(length))
    return center + offset * scale.view(-1, *[1] * (z.ndim - 1))


def box(z: Float[Tensor, "*shape"], *, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "*shape"]:
    """Project onto ``{z : low <= z_i <= high}``.

    Args:
        z: the points.
        low: the least allowed value.
        high: the greatest allowed value.

    Returns:
        ``clip(z, low, high)``.

    Raises:
        ConfigurationError: if ``low`` is not below ``high``.
    """
    if not low < high:
        raise ConfigurationError(f"box: low must be below high, got low={low} and high={high}.")
    return z.clamp(low, high)


def simplex(z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """Project the last axis onto the probability simplex ``{z : z_i >= 0, sum_i z_i = 1}``.

    ``max(z - τ, 0)`` with the one τ that makes the entries sum to 1 (Held, Wolfe and Crowder 1974; Duchi et
    al. 2008, Fig. 1).

    Args:
        z: the points, along the last axis.

    Returns:
        The nearest points of the simplex.
    """
    ordered = z.sort(dim=-1, descending=True).values
    rank = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
    thresholds = (ordered.cumsum(-1) - 1) / rank
    count = (ordered > thresholds).sum(-1, keepdim=True)
    return (z - thresholds.gather(-1, count - 1)).clamp_min(0)


def _check_radius(radius: float) -> None:
    if not (radius >= 0 and math.isfinite(radius)):
        raise ConfigurationError(f"The radius of a ball must be a finite number >= 0, got {radius}.")
