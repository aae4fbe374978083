"""Environments equal gymnasium's step for step, go on from a kept state, and refuse what cannot be."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from bilevel.checkpoint_file import read, write
from bilevel.errors import ConfigurationError
from tasks.gail.environments import VECTORISED, make
from tasks.gail.environments.fixed_horizon import FixedHorizon

NAMES = list(VECTORISED)
# Steps after which every kind of ending was seen; the policies below see to the endings.
STEPS = 1300


def swing(observations, draw):
    """Return actions under which MountainCar arrives, and now and then does not."""
    right = observations[:, 1] >= 0
    lazy = draw.random(len(observations)) < 0.3
    return np.where(lazy, 1, np.where(right, 2, 0))


def balance(observations, draw):
    """Return actions under which CartPole falls, and now and then does not."""
    wanted = observations[:, 2] + 0.5 * observations[:, 3] + 0.1 * observations[:, 0] + 0.1 * observations[:, 1] > 0
    odd = draw.random(len(observations)) < np.linspace(0, 0.3, len(observations))
    return np.where(odd, ~wanted, wanted).astype(np.int64)


PLAY = {"CartPole-v1": balance, "MountainCar-v0": swing}


def same(a, b):
    """Compare records of steps to the last bit, and their types."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def without_episode(infos):
    return [{name: value for name, value in info.items() if name != "episode"} for info in infos]


def stable_baselines(name, count, horizon):
    """Return stable-baselines3's own environments, with our horizon around gymnasium's."""
    if horizon is None:
        return DummyVecEnv([lambda: gymnasium.make(name)] * count)
    return DummyVecEnv([lambda: FixedHorizon(gymnasium.make(name, max_episode_steps=-1), horizon)] * count)


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize("horizon", [None, 170])
@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_that_of_gymnasium_and_stable_baselines_to_the_last_bit(name, horizon, vectorised):
    ours, theirs = (
        make(name, count=5, seed=3, horizon=horizon, vectorised=vectorised),
        stable_baselines(name, 5, horizon),
    )
    theirs.seed(3)
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    seen, draw = ours.reset(), np.random.default_rng(0)
    assert same(seen, theirs.reset())
    terminated = truncated = 0
    for _ in range(STEPS if vectorised else 700):
        actions = PLAY[name](seen, draw)
        mine, other = ours.step(actions), theirs.step(actions)
        assert same((*mine[:3], without_episode(mine[3])), other)
        seen = mine[0]
        ended = [info["TimeLimit.truncated"] for info, done in zip(mine[3], mine[2], strict=True) if done]
        truncated += sum(ended)
        terminated += len(ended) - sum(ended)
    assert truncated
    assert bool(terminated) == (horizon is None)


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_fixed_horizon_hides_when_the_environment_ended(name, vectorised):
    horizon = 190
    environments = make(name, count=6, seed=0, horizon=horizon, vectorised=vectorised)
    free = make(name, count=6, seed=0, vectorised=vectorised)
    seen, draw = environments.reset(), np.random.default_rng(0)
    free.reset()
    over = np.zeros(6, bool)
    last = seen
    returns = np.zeros(6)
    for step in range(1, horizon + 1):
        actions = PLAY[name](seen, draw)
        seen, rewards, dones, infos = environments.step(actions)
        _, given, ended, _ = free.step(actions)
        assert (rewards[over] == 0).all()
        assert np.array_equal(rewards[~over], given[~over])
        shown = np.stack([info["terminal_observation"] for info in infos]) if step == horizon else seen
        assert np.array_equal(shown[over], last[over])
        over, last = over | ended, shown
        returns += rewards
        assert dones.all() == dones.any() == (step == horizon)
    assert over.any()
    assert not over.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert [info["episode"] for info in infos] == [{"r": value, "l": horizon} for value in returns.tolist()]


@pytest.mark.parametrize("vectorised", [True, False])
def test_the_episodes_of_an_environment_are_counted(vectorised):
    environments = make("CartPole-v1", count=3, seed=0, vectorised=vectorised)
    environments.reset()
    returns, found = np.zeros(3), 0
    for _ in range(60):
        _, rewards, dones, infos = environments.step(np.ones(3, np.int64))
        returns += rewards
        for i in np.flatnonzero(dones):
            assert infos[i]["episode"] == {"r": returns[i], "l": int(returns[i])}
            returns[i], found = 0, found + 1
    assert found > 6


def record(environments, actions):
    return [environments.step(a) for a in actions]


@pytest.mark.parametrize(
    ("name", "horizon", "vectorised"),
    [
        ("CartPole-v1", None, True),
        ("CartPole-v1", 40, True),
        ("MountainCar-v0", None, True),
        ("CartPole-v1", None, False),
        ("CartPole-v1", 40, False),
        ("Pendulum-v1", None, False),
    ],
)
def test_environments_go_on_bit_for_bit_from_a_kept_state(name, horizon, vectorised, tmp_path):
    kwargs = {"count": 3, "horizon": horizon, "vectorised": vectorised}
    environments = make(name, seed=1, **kwargs)
    environments.reset()
    environments.action_space.seed(0)
    actions = [np.stack([environments.action_space.sample() for _ in range(3)]) for _ in range(400)]
    record(environments, actions[:130])
    write(tmp_path / "state.pt", {"environments": environments.state_dict()})  # as training checkpoints do
    here = environments.observations
    expected = record(environments, actions[130:])
    assert any(step[2].any() for step in expected)
    other = make(name, seed=9, **kwargs)
    other.load_state_dict(read(tmp_path / "state.pt")["environments"])
    assert same(other.observations, here)
    assert same(record(other, actions[130:]), expected)


def test_a_state_is_a_copy():
    environments = make("CartPole-v1", count=2, seed=0)
    environments.reset()
    state = environments.state_dict()
    before = {name: value.clone() for name, value in state.items() if isinstance(value, torch.Tensor)}
    record(environments, np.ones((30, 2), np.int64))
    assert all(torch.equal(state[name], value) for name, value in before.items())


def test_a_state_of_other_environments_is_refused():
    environments = make("CartPole-v1", count=2, seed=0)
    with pytest.raises(ConfigurationError, match=r"no state before the first reset"):
        environments.state_dict()
    environments.reset()
    for other, what in [
        (make("MountainCar-v0", count=2, seed=0), "name is 'CartPole-v1'; here it is 'MountainCar-v0'"),
        (make("CartPole-v1", count=3, seed=0), "count is 2; here it is 3"),
        (make("CartPole-v1", count=2, seed=0, horizon=9), "horizon is None; here it is 9"),
        (make("CartPole-v1", count=2, seed=0, vectorised=False), "vectorised is True; here it is False"),
    ]:
        with pytest.raises(ConfigurationError, match=what):
            other.load_state_dict(environments.state_dict())


class Fickle(gymnasium.Env):
    """An environment whose randomness is not its generator's."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,))
    action_space = spaces.Discrete(2)
    hidden = np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.hidden.random(1, np.float32), {}

    def step(self, action):
        return self.hidden.random(1, np.float32), 0.0, False, False, {}


def test_an_environment_that_cannot_be_played_again_says_so():
    gymnasium.register("Fickle-v0", Fickle)
    try:
        environments = make("Fickle-v0", count=1, seed=0)
        environments.reset()
        with pytest.raises(ConfigurationError, match=r"Fickle-v0 did other things .* random numbers beside"):
            environments.load_state_dict(environments.state_dict())
    finally:
        del gymnasium.registry["Fickle-v0"]


def test_any_environment_with_discrete_or_continuous_actions_is_a_vector_environment():
    pendulum = make("Pendulum-v1", count=2, seed=0)
    assert isinstance(pendulum, VecEnv)
    assert pendulum.reset().shape == (2, 3)
    seen, rewards, _, _ = pendulum.step(np.zeros((2, 1), np.float32))
    assert (seen.dtype, rewards.dtype) == (np.float32, np.float32)
    lake = make("FrozenLake-v1", count=2, seed=0)  # its observations are one of sixteen places
    assert np.array_equal(lake.reset(), np.eye(16)[[0, 0]])
    assert lake.observation_space.shape == (16,)


def test_seeds_are_those_of_stable_baselines():
    environments, again = (make("CartPole-v1", count=3, seed=5) for _ in range(2))
    first = environments.reset()
    assert np.array_equal(first, again.reset())
    assert len(np.unique(first)) == first.size
    assert not np.array_equal(first, environments.reset())
    environments.seed(5)
    assert np.array_equal(first, environments.reset())


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("CartPol-v1", {}, r"There is no environment 'CartPol-v1'\. The nearest names are: CartPole-v1"),
        ("MountainCar-v7", {}, r"There is no environment 'MountainCar-v7'\. The nearest names are: MountainCar-v0"),
        ("zzz", {}, r"There is no environment 'zzz'\. Some that are there: CartPole-v1, MountainCar-v0, Acrobot-v1"),
        ("no_such_module:A-v0", {}, r"'no_such_module:A-v0' cannot be made: No module named"),
        ("CartPole-v1", {"count": 0}, "count must be a whole number from 1, got 0"),
        ("CartPole-v1", {"horizon": 0}, "horizon must be a whole number from 1, got 0"),
        ("CartPole-v1", {"seed": -1}, "seed must be a whole number from 0, got -1"),
        (
            "Pendulum-v1",
            {"vectorised": True},
            "no Pendulum-v1 in NumPy: in NumPy there are CartPole-v1, MountainCar-v0",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(name, kwargs, message):
    with pytest.raises(ConfigurationError, match=message):
        make(name, **{"count": 1, "seed": 0, **kwargs})


class Odd(gymnasium.Env):
    """An environment with actions of another kind."""

    observation_space = spaces.Box(0, 1, (1,))
    action_space = spaces.MultiDiscrete([2, 2])


def test_actions_of_another_kind_are_refused():
    gymnasium.register("Odd-v0", Odd)
    try:
        with pytest.raises(ConfigurationError, match=r"actions of Odd-v0 are MultiDiscrete.*; allowed are a choice"):
            make("Odd-v0", count=1, seed=0)
    finally:
        del gymnasium.registry["Odd-v0"]


@pytest.mark.parametrize("actions", [[0, 2], [-1, 0], [0], [[0], [0]]])
def test_an_action_that_is_none_is_refused(actions):
    environments = make("CartPole-v1", count=2, seed=0)
    with pytest.raises(ConfigurationError, match=r"Call reset\(\)"):
        environments.step(np.zeros(2, np.int64))
    environments.reset()
    with pytest.raises(ConfigurationError, match="takes 2 actions from 0 to 1"):
        environments.step(np.array(actions))


def test_a_missing_extra_is_one_sentence(monkeypatch):
    import sys

    from tasks.gail.extra import rl_extra

    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    message = r"needs sb3_contrib, of the extra 'rl': pip install 'bilevel\[rl\]'"
    with pytest.raises(ConfigurationError, match=message), rl_extra():
        import sb3_contrib  # noqa: F401
