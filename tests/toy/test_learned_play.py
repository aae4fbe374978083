"""A rule that learns while the game is played arrives, and why."""

from __future__ import annotations

import math

import pytest
import torch

import bilevel
from bilevel.errors import ConfigurationError
from bilevel.learned import MLP, Direction
from tasks.toy import Bilinear, GradientPlay, LearnedPlay, Xy, local_map, play


def xy(x, y):
    return lambda *, lives_on, bound: Xy(x, y, lives_on=lives_on, bound=bound)


@pytest.mark.parametrize(
    ("start", "seed"),
    [((1.0, 0.0), 0), ((1.0, 0.0), 1), ((1.0, 1.0), 2), ((1.0, 1.0), 3), ((-1.0, 0.5), 4), ((3.0, 0.0), 5)],
)
def test_the_learned_follower_arrives(start, seed):
    one = play(LearnedPlay(seed=seed).solver(xy(*start), 0.05), 200, every=200)
    assert float(one.distance[0]) == math.hypot(*start)
    assert float(one.distance[-1]) <= 1e-6


def test_it_arrives_in_more_dimensions():
    matrix = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)

    def make(*, lives_on, bound):
        return Bilinear(matrix, [1.0, -1.0], [0.5, 0.0], lives_on=lives_on, bound=bound)

    assert float(play(LearnedPlay(seed=0).solver(make, 0.05), 500, every=500).distance[-1]) <= 1e-6


def linear_play(step, rate, slope):
    """The rule g = a·x + b of the docstring, trained by gradient steps of size ``rate``."""
    task = Xy(lives_on=False)
    rule = MLP(1, (), inputs=(Direction(),)).double()
    with torch.no_grad():
        rule.network[0].weight.fill_(slope)
        rule.network[0].bias.zero_()
    return bilevel.Solver(
        task,
        rule,
        leader_optimizer=torch.optim.SGD([task.leader], lr=step),
        rule_optimizer=torch.optim.SGD(rule.parameters(), lr=rate),
        play=bilevel.FollowerFirst(),
    )


def test_the_gain_never_falls_and_moves_by_the_square_of_x():
    step, rate = 0.05, 0.1
    solver = linear_play(step, rate, slope=-0.5)
    a, b, x = -0.5, 0.0, 1.0
    for _ in range(40):
        solver.step(None)
        a, b = a + rate * x * x, b + rate * x
        x -= step * (a * x + b)
        layer = solver.rule.network[0]
        assert (layer.weight.item(), layer.bias.item(), solver.task.leader.item()) == pytest.approx(
            (a, b, x), rel=1e-12
        )
    assert a > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_near_the_equilibrium_a_step_is_the_local_map(seed):
    """The perceptron's own next step, from its measured gain and rate; and they contract."""
    solver = LearnedPlay(seed=seed).solver(xy(1.0, 0.0), 0.01)
    play(solver, 200, every=200)
    while abs(float(solver.task.leader.detach())) > 1e-4:
        solver.step(None)

    def state():
        x = float(solver.task.leader.detach())
        solver.task.leader.data.zero_()
        bias = float(solver.answer_to(None).answer)
        solver.task.leader.data.fill_(x)
        return torch.tensor([x, bias], dtype=torch.float64)

    measured = local_map(solver)
    before = state()
    solver.step(None)
    after = measured.matrix @ before
    assert torch.allclose(state(), after, rtol=1e-3, atol=1e-3 * float(after.abs().max()))
    assert measured.gain > 0
    assert 2 * measured.step * measured.gain + measured.step * measured.rate < 4
    assert measured.radius < 1


@pytest.mark.parametrize(("gain", "rate"), [(0.0, 1.0), (-0.1, 1.0), (0.5, 1.0), (39.9, 0.2), (40.1, 0.2), (5.0, 80.0)])
def test_the_map_contracts_exactly_under_the_two_conditions(gain, rate):
    from tasks.toy import LocalMap

    one = LocalMap(0.05, gain, rate)
    assert (one.radius < 1 - 1e-12) == (gain > 0 and 2 * 0.05 * gain + 0.05 * rate < 4)


def test_only_a_learned_follower_on_xy_has_a_local_map():
    solver = GradientPlay("simultaneous", bilevel.Simultaneous()).solver(xy(1.0, 0.0), 0.1)
    with pytest.raises(ConfigurationError, match="local_map is for"):
        local_map(solver)


def test_the_bounded_follower_that_lives_on_arrives_with_this_seed_and_stays_within_its_bound():
    one = play(LearnedPlay(seed=0, lives_on=True, bound=2.0).solver(xy(1.0, 0.0), 0.05), 400)
    assert float(one.y.abs().max()) == 2.0
    assert float(one.distance[-1]) <= 1e-6


def test_the_seed_decides_the_rule_and_nobody_elses_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (play(LearnedPlay(seed=seed).solver(xy(1.0, 0.0), 0.05), 5).y for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(ConfigurationError, match="rate"):
        LearnedPlay(rate=rate)
