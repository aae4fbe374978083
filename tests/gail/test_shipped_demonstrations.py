"""The demonstrations that come with the package."""

from __future__ import annotations

import numpy as np
import pytest

from bilevel.errors import ConfigurationError
from tasks.gail.demonstrations import shipped
from tasks.gail.environments import make

SHIPPED = [("CartPole-v1", None, 10), ("CartPole-v1", 500, 10), ("MountainCar-v0", None, 5), ("MountainCar-v0", 200, 5)]


@pytest.mark.parametrize(("name", "horizon", "trajectories"), SHIPPED)
def test_the_shipped_demonstrations_are_those_of_an_expert(name, horizon, trajectories):
    demonstrations = shipped(name, horizon)
    environments = make(name, count=1, seed=0)
    demonstrations.check(name, environments.observation_space, environments.action_space)
    assert (demonstrations.environment, demonstrations.horizon) == (name, horizon)
    assert len(demonstrations.returns) == trajectories
    assert demonstrations.returns.mean() >= {"CartPole-v1": 495, "MountainCar-v0": -115}[name]
    assert str(demonstrations.about["command"]).startswith(f"bilevel train gail-expert --env {name}")
    rate = {"CartPole-v1": 10, "MountainCar-v0": 5}[name]
    steps = np.abs(demonstrations.returns) if horizon is None else np.full(trajectories, horizon)
    assert np.isin(demonstrations.lengths - steps // rate, [0, 1]).all()  # each step is worth 1, or -1
    # A pair is followed by the state that the environment goes to: the first two pairs of a step are not both here,
    # but no state may be outside of where the environment can be.
    assert environments.observation_space.contains(demonstrations.observations.min(0))
    assert environments.observation_space.contains(demonstrations.observations.max(0))


def test_the_shipped_demonstrations_are_a_few_kilobytes():
    from tasks.gail.demonstrations.shipped import FOLDER

    sizes = {file.name: file.stat().st_size for file in FOLDER.iterdir()}
    assert len(sizes) == 2 * len(SHIPPED)
    assert max(sizes.values()) < 12_000


def test_what_is_not_shipped_is_said():
    with pytest.raises(
        ConfigurationError, match=r"No demonstrations of Acrobot-v1 come .* but of CartPole-v1, CartPole"
    ):
        shipped("Acrobot-v1")
    with pytest.raises(ConfigurationError, match=r"gail-expert --env CartPole-v1 --horizons 77`"):
        shipped("CartPole-v1", 77)
