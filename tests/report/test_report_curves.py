"""Curves of a report: what they average, and what is said of them."""

from __future__ import annotations

from tasks.report.curve_notices import curve_notices
from tasks.report.lines import Line, Panel, panels


def line(method, *points):
    xs, ys = (tuple(map(float, values)) for values in zip(*points, strict=True))
    return Line(method, "learned", xs, ys, ys, ys)


def test_what_curves_show():
    falling = Panel("iterations", "PGM", "", (line("m", (10, 0.6), (100, 0.58)), line("k", (10, 0.6), (100, 0.599))))
    (notice,) = curve_notices([falling])
    assert notice.caution
    assert "m (−2.0 points from 10 to 100)" in notice.text
    assert "k (" not in notice.text
    masked = Panel(
        "eps", "PGM-20", "", (line("m", (0.1, 0.6), (0.2, 0.5), (1.0, 0.55)), line("k", (0.1, 0.6), (1.0, 0)))
    )
    rising, left = curve_notices([masked])
    assert rising.caution
    assert "rises with ε somewhere on the curve of m " in rising.text
    assert "m (55.0 % at ε = 1)" in left.text
    (gone,) = curve_notices([Panel("eps", "PGM-20", "", (line("k", (0.1, 0.6), (1.0, 0.0)),))])
    assert not gone.caution


def test_curves_average_the_seeds_and_join_the_iterations():
    records = [{"method": "fgsm", "kind": "hand-written", "seed": seed, "curve": "iterations", "x": x,
                "robust": robust, "n": 10, "attack": f"PGM-{x}"}
               for seed, x, robust in [(0, 10, 0.5), (1, 10, 0.75), (0, 1, 0.75), (1, 1, 1.0)]]  # fmt: skip
    (panel,) = panels(records)
    assert panel.attack == "PGM"
    assert panel.lines == (Line("fgsm", "hand-written", (1.0, 10.0), (0.875, 0.625), (0.75, 0.5), (1.0, 0.75)),)
