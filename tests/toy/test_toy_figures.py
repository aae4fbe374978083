"""The figures of a toy run show the points, the field and the distances that they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_trajectories import made

from bilevel.errors import ConfigurationError
from tasks.toy import Bilinear, Duopoly, Trajectory, Xy
from tasks.toy.distance import distance_figure
from tasks.toy.portrait import phase_portraits


def circle(radius, name="circle", centre=0.0):
    angle = torch.arange(21, dtype=torch.float64) * (math.pi / 10)
    x, y = centre + radius * angle.cos()[:, None], centre + radius * angle.sin()[:, None]
    steps = torch.arange(21)
    return Trajectory(name, steps, x, y, torch.full((21,), radius, dtype=torch.float64), 2.0 * steps.double())


def test_portraits_show_the_field_the_path_and_its_ends_on_one_scale():
    figure = phase_portraits(Xy(), [circle(1.0, "one"), circle(2.0, "two")])
    one, two = figure.axes[:2]
    assert one.get_xlim() == two.get_ylim() == pytest.approx((-2 / 0.84, 2 / 0.84))
    assert one.get_title().startswith("one")
    arrows, path = one.collections
    x, y = np.asarray(arrows.X), np.asarray(arrows.Y)
    assert np.allclose(arrows.U * np.hypot(x, y), -y)  # (-y, x), of length 1
    assert np.allclose(arrows.V * np.hypot(x, y), x)
    assert np.allclose(path.get_segments()[0][0], (1.0, 0.0))
    assert path.get_array().tolist() == list(range(1, 21))
    marks = {line.get_label(): line.get_xydata()[0].tolist() for line in one.get_lines()}
    assert marks == {"start": [1.0, 0.0], "end": pytest.approx([1.0, 0.0]), "equilibrium": [0.0, 0.0]}


def test_portraits_of_very_different_sizes_keep_their_own_scale():
    one, two, three = phase_portraits(Xy(), [circle(1.0), circle(50.0), circle(2.0)]).axes[:3]
    assert one.get_xlim() == three.get_xlim() == pytest.approx((-2 / 0.84, 2 / 0.84))
    assert two.get_xlim() == pytest.approx((-50 / 0.84, 50 / 0.84))


def test_portraits_of_a_general_sum_game_mark_both_points_and_show_what_the_leader_moves_along():
    game = Duopoly()
    blind, seeing = phase_portraits(game, [circle(0.5, "direct"), circle(0.5, "unrolled")], seeing=["unrolled"]).axes[
        :2
    ]
    for axes, slope in ((blind, 2.0), (seeing, 1.5)):
        marks = {line.get_label(): line.get_xydata()[0].tolist() for line in axes.get_lines()}
        assert marks["solution"] == [0.5, 0.25]
        assert marks["Nash"] == pytest.approx([1 / 3, 1 / 3])
        arrows = axes.collections[0]
        x, y = np.meshgrid(np.unique(arrows.X), np.unique(arrows.Y))
        push = np.stack([1 - slope * x - y, 1 - x - 2 * y])
        push = (push / np.hypot(*push)).reshape(2, -1)
        assert np.allclose([np.ravel(arrows.U), np.ravel(arrows.V)], push)
        assert axes.get_ylabel() in {"follower z", ""}


def test_a_portrait_of_vectors_has_no_field():
    game = Bilinear([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], [0.0, 0.0])
    two = replace(circle(1.0), x=circle(1.0).x.expand(-1, 2), y=circle(1.0).y.expand(-1, 2))
    axes = phase_portraits(game, [two]).axes[0]
    assert len(axes.collections) == 1
    assert axes.get_xlabel() == "leader x₁ of 2"


def test_the_distance_figure_has_a_panel_for_steps_and_one_for_evaluations():
    left, right = distance_figure([circle(1.0), circle(2.0, "other")], goal="solution", tolerance=1e-3).axes
    assert left.get_yscale() == "log"
    assert (left.get_xlabel(), right.get_xlabel()) == ("step", "gradient evaluations")
    assert left.get_ylabel() == "distance to the solution"
    for axes, factor in ((left, 1), (right, 2)):
        *lines, mark = axes.get_lines()
        assert [line.get_xdata()[-1] for line in lines] == [20 * factor] * 2
        assert list(mark.get_ydata()) == [2e-3, 2e-3]


def test_the_distance_figure_leaves_out_what_a_logarithm_cannot_show():
    axes = distance_figure([circle(1.0), made([1.0, 0.0], "arrived")]).axes[0]
    assert [len(line.get_xydata()) for line in axes.get_lines()] == [21, 1]


def test_the_step_is_in_the_legend_where_there_are_several():
    with_steps = [replace(circle(1.0, "one"), step=0.1), replace(circle(1.0, "two"), step=0.2)]
    (legend,) = distance_figure(with_steps).legends
    assert [text.get_text() for text in legend.get_texts()] == ["one, h = 0.1", "two, h = 0.2"]
    (legend,) = distance_figure([replace(one, step=0.1) for one in with_steps]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]


@pytest.mark.parametrize("draw", [distance_figure, lambda none: phase_portraits(Xy(), none)])
def test_there_must_be_something_to_draw(draw):
    with pytest.raises(ConfigurationError, match="at least one"):
        draw([])
