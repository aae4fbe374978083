"""What gradient play does to the games, against its closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import bilevel
from bilevel.errors import ConfigurationError
from tasks.toy import Bilinear, GradientPlay, Quadratic, VanDerPol, Xy, exact, gradient_field, play

SIMULTANEOUS = GradientPlay("simultaneous", bilevel.Simultaneous())
LEADER_FIRST = GradientPlay("leader first", bilevel.LeaderFirst())
FOLLOWER_FIRST = GradientPlay("follower first", bilevel.FollowerFirst())

numbers = st.floats(-10, 10)
step_sizes = st.floats(1e-6, 1.5)


def go(method, step, steps, game=Xy, *start, every=1, **settings):
    def make(*, lives_on, bound):
        return game(*start, lives_on=lives_on, bound=bound, **settings)

    return play(method.solver(make, step), steps, every=every)


def rows(trajectory):
    return list(zip(trajectory.x[:, 0].tolist(), trajectory.y[:, 0].tolist(), strict=True))


@given(numbers, numbers, step_sizes)
def test_simultaneous_play_grows_the_radius_by_the_same_factor_each_step(x, y, step):
    assume(math.hypot(x, y) > 1e-6)
    radii = [math.hypot(*point) for point in rows(go(SIMULTANEOUS, step, 4, Xy, x, y))]
    for before, after in pairwise(radii):
        assert after / before == pytest.approx(math.sqrt(1 + step**2), rel=1e-12)
    assert exact.simultaneous_growth(step) == pytest.approx(math.sqrt(1 + step**2), rel=1e-15)


@given(numbers, numbers, step_sizes)
def test_leader_first_keeps_its_quadratic_form(x, y, step):
    assume(math.hypot(x, y) > 1e-6)
    forms = [x * x + y * y - step * x * y for x, y in rows(go(LEADER_FIRST, step, 4, Xy, x, y))]
    assert forms == pytest.approx([forms[0]] * 5, rel=1e-12)
    assert exact.leader_first_invariant(x, y, step) == pytest.approx(forms[0], rel=1e-12)


@given(numbers, numbers, step_sizes)
def test_follower_first_keeps_the_form_of_the_other_sign(x, y, step):
    assume(math.hypot(x, y) > 1e-6)
    forms = [x * x + y * y + step * x * y for x, y in rows(go(FOLLOWER_FIRST, step, 4, Xy, x, y))]
    assert forms == pytest.approx([forms[0]] * 5, rel=1e-12)
    assert exact.follower_first_invariant(x, y, step) == pytest.approx(forms[0], rel=1e-12)


@pytest.mark.parametrize("method", [LEADER_FIRST, FOLLOWER_FIRST])
def test_the_orders_are_told_apart_by_the_sign(method):
    other = exact.follower_first_invariant if method is LEADER_FIRST else exact.leader_first_invariant
    forms = [other(x, y, 0.5) for x, y in rows(go(method, 0.5, 3, Xy, 1.0, 0.3))]
    assert max(forms) - min(forms) > 0.1


@pytest.mark.parametrize("method", [LEADER_FIRST, FOLLOWER_FIRST])
def test_alternating_play_turns_by_two_arcsin_and_stays_between_its_radii(method):
    step = 2 * math.sin(math.pi / 60)  # a turn in exactly 60 steps
    points = rows(go(method, step, 60, Xy, 1.0, 0.0))
    assert exact.alternating_angle(step) == pytest.approx(2 * math.pi / 60, rel=1e-14)
    assert points[-1] == pytest.approx((1.0, 0.0), abs=1e-13)
    low, high = exact.alternating_radii(1.0, step)
    radii = [math.hypot(*point) for point in points]
    assert low - 1e-13 <= min(radii) < low + 1e-3
    assert high - 1e-3 < max(radii) <= high + 1e-13


def test_simultaneous_play_spirals_outwards_by_the_closed_form():
    step, steps = 0.03, 200
    x, y = rows(go(SIMULTANEOUS, step, steps, Xy, 1.0, 0.0))[-1]
    radius, angle = exact.simultaneous_growth(step) ** steps, steps * exact.simultaneous_angle(step)
    assert (x, y) == pytest.approx((radius * math.cos(angle), radius * math.sin(angle)), rel=1e-11)


@given(st.integers(0, 10_000), st.floats(1e-3, 0.3))
def test_bilinear_play_keeps_the_forms_of_any_matrix(seed, step):
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(2, 3, generator=draw, dtype=torch.float64)
    x, y = (torch.randn(n, generator=draw, dtype=torch.float64) for n in (2, 3))
    for method, sign in ((LEADER_FIRST, -1), (FOLLOWER_FIRST, 1)):
        one = go(method, step, 3, Bilinear, matrix, x, y)
        forms = [float(x @ x + y @ y + sign * step * (x @ matrix @ y)) for x, y in zip(one.x, one.y, strict=True)]
        assert forms == pytest.approx([forms[0]] * 4, rel=1e-12, abs=1e-13)
    # One simultaneous step: |x - hMy|² + |y + hMᵀx|² = |x|² + |y|² + h²(|My|² + |Mᵀx|²).
    one = go(SIMULTANEOUS, step, 1, Bilinear, matrix, x, y)
    grown = x @ x + y @ y + step**2 * ((matrix @ y).square().sum() + (matrix.T @ x).square().sum())
    assert float(one.distance[-1] ** 2) == pytest.approx(float(grown), rel=1e-12)


@given(numbers, numbers, st.floats(1e-3, 1), st.floats(0, 2))
def test_a_price_on_both_players_changes_the_growth(x, y, step, price):
    assume(math.hypot(x, y) > 1e-6)
    one = go(SIMULTANEOUS, step, 2, Quadratic, x, y, a=price, b=price)
    growth = math.hypot(1 - step * price, step)
    assert one.distance[1:].tolist() == pytest.approx((growth * one.distance[:-1]).tolist(), rel=1e-10)


def test_the_field_is_minus_each_players_gradient_and_leaves_the_game_alone():
    game = VanDerPol(0.7, 0.0, strength=0.5)
    xs, ys = torch.tensor([-1.0, 2.0], dtype=torch.float64), torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    along_x, along_y = gradient_field(game, xs, ys)
    for row, y in enumerate(ys.tolist()):
        for column, x in enumerate(xs.tolist()):
            assert along_x[row, column] == -y
            assert along_y[row, column] == pytest.approx(x + 0.5 * (y - y**3), rel=1e-15)
    assert float(game.leader.detach()) == 0.7
    with pytest.raises(ConfigurationError, match="one entry"):
        gradient_field(Bilinear([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], [0.0, 0.0]), xs, ys)


def test_a_trajectory_is_thinned_but_keeps_both_ends():
    one = go(LEADER_FIRST, 0.1, 25, Xy, 1.0, 0.5, every=10)
    whole = go(LEADER_FIRST, 0.1, 25, Xy, 1.0, 0.5)
    assert one.steps.tolist() == [0, 10, 20, 25]
    assert rows(one) == [rows(whole)[count] for count in (0, 10, 20, 25)]
    assert rows(one)[0] == (1.0, 0.5)


def test_a_play_that_runs_away_stops_at_the_last_finite_point():
    one = go(SIMULTANEOUS, 1e30, 40, Xy, 1.0, 1.0)
    assert one.diverged
    assert 5 < int(one.steps[-1]) < 40
    assert torch.isfinite(one.distance).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Xy(math.nan, 0.0), "finite"),
        (lambda: Xy(1.0, 3.0, bound=2.0), "outside its bound"),
        (lambda: Xy(bound=0.0), "above 0"),
        (lambda: Bilinear([[1.0, 2.0]], [1.0, 1.0], [0.0, 0.0]), "a row for each coordinate"),
        (lambda: Quadratic(a=-1.0), "at least 0"),
        (lambda: VanDerPol(strength=0.0), "above 0"),
    ],
)
def test_a_game_refuses_what_it_cannot_be(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()
