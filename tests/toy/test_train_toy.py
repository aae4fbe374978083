"""A toy run from its configuration to its files."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from rich.console import Console

from bilevel.errors import ConfigurationError
from tasks.run import Run
from tasks.toy import Bilinear, ToyConfig, Trajectory, Xy, exact
from tasks.toy.config import GameName, MethodName
from tasks.toy.distance import distance_figure
from tasks.toy.portrait import phase_portraits
from tasks.toy.train import train_toy

METHODS = get_args(MethodName)


def test_a_run_writes_what_happened(tmp_path):
    config = ToyConfig(step=0.05, steps=60, methods=METHODS)
    train_toy(config, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.config["task"] == "toy"
    assert run.config["step"] == 0.05
    records = {record["method"]: record for record in run.results()}
    assert tuple(records) == METHODS
    assert all(
        (one["task"], one["data"], one["steps"], one["start_radius"]) == ("toy", "xy", 60, 1.0)
        for one in records.values()
    )
    assert records["simultaneous"]["radius"] == pytest.approx(exact.simultaneous_growth(0.05) ** 60, rel=1e-12)
    assert records["learned"]["distance"] < 1e-3
    for method in METHODS:
        with (run.path / "parts" / method / "metrics.csv").open(encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        assert [int(row["step"]) for row in table] == list(range(61))
        x, y, distance = (float(table[-1][name]) for name in ("x0", "y0", "distance"))
        assert distance == records[method]["distance"] == pytest.approx(math.hypot(x, y), rel=1e-12)
    for name in ("portraits", "distance"):
        assert (run.figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("game", get_args(GameName))
def test_every_game_runs_from_its_name_alone(game, tmp_path):
    run = train_toy(ToyConfig(game=game, steps=3), tmp_path / "run")
    assert [record["data"] for record in run.results()] == [game] * 4


def test_a_run_is_not_overwritten_unasked(tmp_path):
    config = ToyConfig(steps=2, methods=("simultaneous",))
    train_toy(config, tmp_path / "run")
    with pytest.raises(ConfigurationError):
        train_toy(config, tmp_path / "run")
    again = train_toy(replace(config, steps=3), tmp_path / "run", overwrite=True)
    assert [record["steps"] for record in again.results()] == [3]


def test_progress_is_shown_on_a_terminal_only(tmp_path):
    config = ToyConfig(steps=2, methods=("follower-first",))
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        train_toy(config, tmp_path / str(terminal), console=console)
        assert ("follower-first" in console.file.getvalue()) == terminal


def test_the_bilinear_game_has_the_asked_strengths_and_the_seed_turns_it():
    config = ToyConfig(game="bilinear", strengths=(2.0, 1.0, 0.25), x=(1.0, 2.0, 3.0))
    game, other = config.make_game(), replace(config, seed=1).make_game()
    assert isinstance(game, Bilinear)
    assert torch.linalg.svdvals(game.matrix).tolist() == pytest.approx([2.0, 1.0, 0.25], rel=1e-12)
    assert game.leader.tolist() == [1.0, 2.0, 3.0]
    assert game.y.tolist() == [0.0, 0.0, 0.0]
    assert not torch.equal(game.matrix, other.matrix)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"methods": ()}, "at least one"),
        ({"methods": ("learned", "learned")}, "each once"),
        ({"step": 0.0}, "step must be"),
        ({"step": math.nan}, "step must be"),
        ({"steps": 0}, "at least 1"),
        ({"x": (1.0, 2.0)}, "x must be one"),
        ({"y": (math.inf,)}, "y must be one"),
        ({"game": "bilinear", "y": (1.0, 2.0, 3.0)}, "or 2 of them"),
        ({"strengths": ()}, "strengths"),
        ({"game": "quadratic", "price_y": -1.0}, "at least 0"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"rate": 0.0}, "rate"),
        ({"hidden": (8, 0)}, "hidden"),
        ({"methods": ("learned-lives-on",), "y": (5.0,)}, "raise bound"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        ToyConfig(**settings)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("game", "chess", "known ones are xy, bilinear"), ("methods", ("sgd",), "known ones are simultaneous, leader")],
)
def test_an_unknown_name_is_answered_with_the_known_ones(field, value, words):
    config = ToyConfig()
    object.__setattr__(config, field, value)  # past the annotations, which the tests execute
    with pytest.raises(ConfigurationError, match=words):
        config.__post_init__()


def circle(radius, name="circle"):
    angle = torch.linspace(0, 6, 20, dtype=torch.float64)
    x, y = radius * angle.cos()[:, None], radius * angle.sin()[:, None]
    return Trajectory(name, torch.arange(20), x, y, torch.full((20,), radius, dtype=torch.float64))


def test_portraits_show_the_field_the_path_and_its_ends_on_one_scale():
    figure = phase_portraits(Xy(), [circle(1.0, "one"), circle(2.0, "two")])
    one, two = figure.axes[:2]
    assert one.get_xlim() == two.get_ylim() == pytest.approx((-2.3, 2.3))
    assert one.get_title().startswith("one")
    arrows, path = one.collections
    x, y = np.asarray(arrows.X), np.asarray(arrows.Y)
    assert np.allclose(arrows.U * np.hypot(x, y), -y)  # (-y, x), of length 1
    assert np.allclose(arrows.V * np.hypot(x, y), x)
    assert np.allclose(path.get_segments()[0][0], (1.0, 0.0))
    assert path.get_array().tolist() == list(range(1, 20))
    start, end, centre = (line.get_xydata()[0].tolist() for line in one.get_lines())
    assert start == [1.0, 0.0]
    assert end == pytest.approx([math.cos(6), math.sin(6)])
    assert centre == [0.0, 0.0]


def test_portraits_of_very_different_sizes_keep_their_own_scale():
    one, two = phase_portraits(Xy(), [circle(1.0), circle(50.0)]).axes[:2]
    assert one.get_xlim() == pytest.approx((-1.15, 1.15))
    assert two.get_xlim() == pytest.approx((-57.5, 57.5))


def test_a_portrait_of_vectors_has_no_field():
    game = Bilinear([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], [0.0, 0.0])
    assert len(phase_portraits(game, [circle(1.0)]).axes[0].collections) == 1


def test_the_distance_figure_leaves_out_what_a_logarithm_cannot_show():
    zero = Trajectory("arrived", torch.arange(2), *torch.zeros(2, 2, 1).double(), torch.tensor([1.0, 0.0]).double())
    axes = distance_figure([circle(1.0), zero]).axes[0]
    assert axes.get_yscale() == "log"
    assert [len(line.get_xydata()) for line in axes.get_lines()] == [20, 1]


@pytest.mark.parametrize("draw", [distance_figure, lambda none: phase_portraits(Xy(), none)])
def test_there_must_be_something_to_draw(draw):
    with pytest.raises(ConfigurationError, match="at least one"):
        draw([])
