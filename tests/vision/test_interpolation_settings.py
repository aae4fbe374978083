"""Settings of interpolation: those of the papers and codes, and those that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from interpolation_by_hand import EPS, batch, cosine_by_hand, solver_of, warm
from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.learned import Direction
from bilevel.play import FollowerFirst
from bilevel.starts import Center, Uniform
from tasks.vision.games import Away, Interpolation, InterpolationTraining, RandomOther, Reversed, Terms, Towards
from tasks.vision.methods import SignSteps
from tasks.vision.networks import WithFeatures
from tasks.vision.presets import AIT_CODE, AIT_CODE_2_STEP, AIT_ORIGINAL, AIT_PAPER


def test_the_settings_of_the_papers_and_of_the_codes():
    paper, code = AIT_PAPER.make_method(), AIT_CODE.make_method()
    assert paper.game == Interpolation(0.5, Towards(), RandomOther())
    assert code.game == Interpolation(0.5, Towards(), Reversed())
    assert (paper.start, code.start) == (Center(), Uniform(1.0, feasible=False))
    assert replace(AIT_PAPER, feature="away").make_method().game.feature_loss == Away()
    assert (AIT_PAPER.epochs, AIT_CODE.epochs, AIT_CODE_2_STEP.epochs, AIT_ORIGINAL.epochs) == (200, 76, 300, 200)
    two = AIT_CODE_2_STEP.make_method()
    assert (two.steps, two.game.label_eps) == (2, 0.9)
    assert AIT_ORIGINAL.eps == 8 / 255
    learned = replace(AIT_PAPER, method="grad-l2l").make_method()
    assert learned.play == FollowerFirst(same_answer=True)
    assert any(isinstance(one, Direction) for one in learned.inputs)


def test_a_classifier_without_a_feature_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(ConfigurationError, match=r"Sequential has no embed.*WithFeatures"):
        Interpolation().task(plain, Terms(EPS))
    b = batch(4)
    task = Interpolation().task(WithFeatures(plain, "1").double(), Terms(EPS))
    torch.testing.assert_close(
        task.follower_loss(b, b.x), (1 - cosine_by_hand(b.x.flatten(1), b.x.flip(0).flatten(1))).mean()
    )


def test_a_warm_start_is_refused_since_its_push_is_along_the_leaders_gradient():
    with pytest.raises(ConfigurationError, match=r"other partners.*leave the warm start out"):
        solver_of(SignSteps(steps=1, warm=0.5, game=Interpolation()), warm())


def test_the_first_batch_is_looked_at():
    b = batch(4)
    with pytest.raises(ConfigurationError, match=r"must lie in \[0, 1\]"):
        InterpolationTraining(warm(), Terms(EPS)).leader_loss(b._replace(x=2 * b.x), b.x)
