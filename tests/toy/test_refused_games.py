"""General-sum games that cannot be are refused."""

from __future__ import annotations

import math

import pytest

from bilevel.errors import ConfigurationError
from tasks.toy import Duopoly, ManySolutions, QuadraticQuadratic


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Duopoly(math.nan), "theta must be a finite"),
        (lambda: Duopoly(z=3.0, bound=2.0), "outside its bound"),
        (lambda: Duopoly(bound=0.0), "above 0"),
        (lambda: Duopoly(slope=0.0), "slope above 0"),
        (lambda: Duopoly(leader_margin=math.inf), "finite margins"),
        (lambda: ManySolutions(z=(1.0, 2.0, 3.0)), "of as many"),
        (lambda: ManySolutions(z=1.0), "at least 2"),
        (lambda: ManySolutions(cost=0.0), "cost and weights above 0"),
        (lambda: ManySolutions(weights=(1.0, -1.0)), "cost and weights above 0"),
        (lambda: ManySolutions(direction=(0.0, 0.0)), "not 0"),
        (lambda: QuadraticQuadratic.random(condition=0.5), "at least 1"),
        (lambda: QuadraticQuadratic.random(leader_size=0), "at least 1"),
    ],
)
def test_a_game_refuses_what_it_cannot_be(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()
