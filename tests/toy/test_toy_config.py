"""A toy run's configuration: the games that it makes, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from bilevel.errors import ConfigurationError
from tasks.toy import PRESETS, Bilinear, GameSettings, MethodSettings, ToyConfig, best_trajectory


def test_every_preset_but_one_has_a_game_of_its_own():
    assert list(PRESETS) == ["default", "paper", "best-step", "cycle", "trap", "stackelberg", "many"]
    assert len({config.game for config in PRESETS.values()}) == 6


def test_the_bilinear_game_has_the_asked_strengths_and_the_seed_turns_it():
    settings = GameSettings(strengths=(2.0, 1.0, 0.25), x=(1.0, 2.0, 3.0))
    config = ToyConfig(game="bilinear", game_settings=settings)
    game, other = config.make_game(), replace(config, seed=1).make_game()
    assert isinstance(game, Bilinear)
    assert torch.linalg.svdvals(game.matrix).tolist() == pytest.approx([2.0, 1.0, 0.25], rel=1e-12)
    assert game.leader.tolist() == [1.0, 2.0, 3.0]
    assert game.y.tolist() == [0.0, 0.0, 0.0]
    assert not torch.equal(game.matrix, other.matrix)


@pytest.mark.parametrize(
    ("game", "x", "y"),
    [("xy", 1.0, 0.0), ("forsaken", 0.5, 0.5), ("duopoly", 0.0, 0.0), ("bilinear", [1.0, 1.0], [0.0, 0.0])],
)
def test_a_game_has_a_start_of_its_own_and_takes_another(game, x, y):
    for given in (GameSettings(), GameSettings(x=(0.25,), y=(-0.5,))):
        made = ToyConfig(game=game, game_settings=given).make_game()
        if given.x:
            x, y = ([value] * 2 if game == "bilinear" else value for value in (0.25, -0.5))
        assert (made.leader.tolist(), made.start(None).tolist()) == (x, y)


def test_quadratic_players_can_be_put_elsewhere():
    drawn, moved = (
        ToyConfig(game="quadratic-quadratic", game_settings=given).make_game()
        for given in (GameSettings(), GameSettings(x=(1.0, 2.0, 3.0)))
    )
    assert moved.leader.tolist() == [1.0, 2.0, 3.0]
    assert torch.equal(moved.z, drawn.z)
    assert torch.equal(moved.solution[0], drawn.solution[0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ToyConfig(methods=()), "at least one"),
        (lambda: ToyConfig(methods=("learned", "learned")), "each once"),
        (lambda: ToyConfig(step=(0.0,)), "step must be finite and above 0, got 0"),
        (lambda: ToyConfig(step=(0.1, math.nan)), "step must be"),
        (lambda: ToyConfig(step=()), "step must be"),
        (lambda: ToyConfig(step=(0.1, 0.1)), "each step size once"),
        (lambda: ToyConfig(steps=0), "at least 1"),
        (lambda: ToyConfig(tolerance=0.0), "tolerance must be"),
        (lambda: GameSettings(strengths=()), "strengths"),
        (lambda: GameSettings(epsilon=-1.0), "epsilon"),
        (lambda: ToyConfig(game_settings=GameSettings(x=(1.0, 2.0))), "x must be one"),
        (lambda: ToyConfig(game_settings=GameSettings(y=(math.inf,))), "y must be one"),
        (lambda: ToyConfig(game="bilinear", game_settings=GameSettings(y=(1.0, 2.0, 3.0))), "or 2 of them"),
        (lambda: ToyConfig(game="quadratic", game_settings=GameSettings(price_y=-1.0)), "at least 0"),
        (lambda: MethodSettings(hidden=(8, 0)), "hidden"),
        (lambda: ToyConfig(method_settings=MethodSettings(rate=0.0)), "rate"),
        (lambda: ToyConfig(method_settings=MethodSettings(inner_step=0.0)), "inner_step"),
        (lambda: ToyConfig(method_settings=MethodSettings(inner_steps=0)), "inner_steps"),
        (lambda: ToyConfig(method_settings=MethodSettings(momentum=1.0)), "NegativeMomentum"),
        (
            lambda: ToyConfig(methods=("truncated",), method_settings=MethodSettings(inner_steps=3)),
            "last 5 updates.*inner_steps = 3",
        ),
        (lambda: ToyConfig(methods=("learned-lives-on",), game_settings=GameSettings(y=(5.0,))), "raise bound"),
        (lambda: ToyConfig(game="quadratic", methods=("implicit",), game_settings=GameSettings(price_y=0.0)), "linear"),
        (lambda: best_trajectory([], 0.1), "at least one"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("game", "dupoly", "Did you mean duopoly.*Known are: xy, bilinear"), ("methods", ("sgd",), "Known are: simultan")],
)
def test_an_unknown_name_is_answered_with_the_known_ones(field, value, words):
    config = ToyConfig()
    object.__setattr__(config, field, value)  # past the annotations, which the tests execute
    with pytest.raises(ConfigurationError, match=words):
        config.__post_init__()
