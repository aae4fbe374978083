"""Demonstrations: what is taken of them, and where they may be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from demonstration_cases import same, some
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import ConfigurationError
from tasks.gail.environments import make


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6), rate=st.integers(1, 12), seed=st.integers(0, 2**32)
)
def test_subsampling_keeps_every_so_many_th_pair_of_each_trajectory(lengths, rate, seed):
    whole = some(tuple(lengths))
    part = whole.subsample(rate, seed)
    begin = row = 0
    for number, length in enumerate(lengths):
        kept = part.observations[row : row + part.lengths[number], 0] / 4 - begin  # the number within the trajectory
        assert 0 <= kept[0] < min(rate, length)
        assert np.array_equal(kept, np.arange(kept[0], length, rate))
        begin, row = begin + length, row + int(part.lengths[number])
    assert row == len(part)
    assert np.array_equal(part.actions, part.observations[:, 0].astype(np.int64) // 4 % 2)
    assert np.array_equal(part.returns, whole.returns)
    assert same(part, whole.subsample(rate, seed))


def test_the_starts_of_subsampling_are_drawn_evenly():
    starts = np.concatenate([some((10,) * 50).subsample(10, seed).observations[:, 0] // 4 % 10 for seed in range(40)])
    counts = np.bincount(starts.astype(np.int64), minlength=10)
    assert counts.sum() == 2000
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi square with 9 degrees of freedom exceeds it once in 1,000


def test_the_first_trajectories_are_taken():
    whole = some()
    part = whole.take(2)
    assert (len(part), part.lengths.tolist(), part.returns.tolist()) == (11, [7, 4], [0.0, 1.0])
    assert np.array_equal(part.observations, whole.observations[:11])
    for trajectories in (0, 4):
        with pytest.raises(ConfigurationError, match=rf"There are 3 .* asked for are {trajectories}: take from 1 to 3"):
            whole.take(trajectories)


def test_demonstrations_of_another_environment_are_refused_where_they_are_used():
    cart, car, pendulum = (make(name, count=1, seed=0) for name in ("CartPole-v1", "MountainCar-v0", "Pendulum-v1"))
    mine = some()
    mine.check("CartPole-v1", cart.observation_space, cart.action_space)
    for wrong, name, other, message in [
        (mine, "MountainCar-v0", car, "are of CartPole-v1, the environment is MountainCar-v0: name demonstrations of"),
        (
            replace(mine, environment="MountainCar-v0"),
            "MountainCar-v0",
            car,
            r"4 numbers an observation, those of the environment .* \(2,\): name demonstrations of MountainCar-v0",
        ),
        (
            replace(mine, actions=mine.actions + 1),
            "CartPole-v1",
            cart,
            "whole numbers from 1 to 2, those .* 0 to 1: name",
        ),
        (
            some(continuous=True),
            "CartPole-v1",
            cart,
            "vectors of 2 numbers, those of the environment are .* 0 to 1: name",
        ),
        (
            some(environment="Pendulum-v1", observations=mine.observations[:, :3]),
            "Pendulum-v1",
            pendulum,
            r"whole numbers from 0 to 1, those .* are vectors of shape \(1,\)",
        ),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            wrong.check(name, other.observation_space, other.action_space)
