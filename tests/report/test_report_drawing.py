"""Drawing: labels find places, and methods look different."""

from __future__ import annotations

import pytest

from tasks.report.drawing.labels import Box, place, spread
from tasks.report.drawing.style import THEME, styles


def test_labels_do_not_overlap():
    anchors = [(100.0 + 3 * i, 100.0 + 2 * (i % 3)) for i in range(8)]
    obstacles = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in anchors]
    bounds = Box(0.0, 0.0, 400.0, 300.0)
    boxes = place(anchors, [(70.0, 14.0)] * 8, obstacles, bounds)
    for i, box in enumerate(boxes):
        assert box.left >= 0
        assert box.bottom >= 0
        assert box.right <= 400
        assert box.top <= 300
        assert not any(overlap(box, other) for other in [*boxes[:i], *obstacles])


def overlap(a, b):
    return a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top


def test_spread_moves_as_little_as_needed():
    assert spread([0.0, 1.0, 5.0], 1.0, 0.0, 10.0) == [0.0, 1.0, 5.0]
    assert spread([5.0, 5.0], 1.0, 0.0, 10.0) == [4.5, 5.5]
    assert spread([3.0, 1.0, 3.0], 2.0, 0.0, 10.0) == pytest.approx([7 / 3, 1 / 3, 13 / 3])
    assert spread([10.0, 10.0], 1.0, 0.0, 10.0) == [9.0, 10.0]
    assert spread([1.0] * 5, 1.0, 0.0, 2.0) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


def test_looks_differ_between_methods_and_without_colour_between_kinds():
    looks = styles([(f"h{i}", "hand-written") for i in range(12)] + [(f"l{i}", "learned") for i in range(12)])
    assert len({(look.color, look.marker, look.learned) for look in looks.values()}) == 24
    learned, other = looks["l0"], looks["h0"]
    assert (learned.face == learned.color, learned.dashes) != (other.face == other.color, other.dashes)
    lights = [light for light, _ in THEME.values()]
    assert len(set(lights)) == len(lights)  # a colour is turned into its variable by its light value
