"""Where labels go so that they do not cover each other, nor what they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_ROUNDS = 5
_DISTANCES = np.array([9.0, 13.0, 18.0, 24.0, 32.0, 42.0, 54.0, 68.0, 84.0, 104.0])
_ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_COSTS = np.repeat(_DISTANCES, len(_DIRECTIONS))
# In pixels of distance: a label that hides its whole area, one that is cut off, one that clashes with another.
_HIDING, _CUT, _CLASH = 600.0, 10_000.0, 2_000.0


class Box(NamedTuple):
    """A rectangle in pixels, the origin at the lower left."""

    left: float
    bottom: float
    right: float
    top: float


def place(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Box],
    bounds: Box,
) -> list[Box]:
    """Find a box near each anchor that covers no other box, no obstacle, and lies within bounds.

    Each label in turn takes the cheapest of 240 places around its anchor, given the others; a few rounds settle it.

    Args:
        anchors: what the labels belong to, in pixels.
        sizes: the labels' widths and heights, in pixels.
        obstacles: what should not be covered, in pixels.
        bounds: where the labels must lie.

    Returns:
        A box for each label.
    """
    things = np.array(obstacles, dtype=float).reshape(-1, 4)
    edge = np.array([bounds], dtype=float)
    candidates = [_around(anchor, size) for anchor, size in zip(anchors, sizes, strict=True)]
    # What a place costs whatever the others do: its distance, what it hides, and what of it is cut off.
    alone = [
        _COSTS + _HIDING * (_overlap(boxes, things) / area).sum(1) + _CUT * (1 - _overlap(boxes, edge)[:, 0] / area)
        for boxes, area in ((boxes, width * height) for boxes, (width, height) in zip(candidates, sizes, strict=True))
    ]
    chosen: dict[int, Float[np.ndarray, "4"]] = {}
    for _ in range(_ROUNDS):
        for i, boxes in enumerate(candidates):
            others = np.array([box for j, box in chosen.items() if j != i]).reshape(-1, 4)
            clashes = (_overlap(boxes, others) > 0).sum(1)
            chosen[i] = boxes[np.argmin(alone[i] + _CLASH * clashes)]
    return [Box(*map(float, chosen[i])) for i in range(len(candidates))]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move numbers as little as needed so that neighbours are at least ``gap`` apart, within ``[low, high]``.

    The order stays. If there is no room for all, the gap shrinks to what there is.

    Args:
        wanted: where the numbers would best be.
        gap: the least distance of two.
        low: the least value.
        high: the greatest value.

    Returns:
        The numbers moved, in the order given.
    """
    if not wanted:
        return []
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    # Less i·gap each, "at least gap apart" is "not falling": blocks that fall are pooled at their mean.
    blocks: list[tuple[float, int]] = []
    for rank, i in enumerate(order):
        mean, size = wanted[i] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    top = high - (len(wanted) - 1) * gap
    moved = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        moved[i] = min(max(flat[rank], low), top) + rank * gap
    return moved


def _around(anchor: tuple[float, float], size: tuple[float, float]) -> Float[np.ndarray, "places 4"]:
    """Return the places that a label may take, in the order of `Box`."""
    half = np.array(size) / 2
    # The label's nearest edge, not its middle, lies at the distance.
    middles = np.array(anchor) + _DIRECTIONS[None] * (_DISTANCES[:, None, None] + half)
    flat = middles.reshape(-1, 2)
    return np.concatenate([flat - half, flat + half], axis=1)


def _overlap(boxes: Float[np.ndarray, "a 4"], others: Float[np.ndarray, "b 4"]) -> Float[np.ndarray, "a b"]:
    """Return the areas that each of ``boxes`` shares with each of ``others``."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides: Float[np.ndarray, "a b 2"] = (high - low).clip(0)
    areas: Float[np.ndarray, "a b"] = sides[..., 0] * sides[..., 1]
    return areas
