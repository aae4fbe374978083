"""Environments side by side whose state can be kept: the interface."""

from __future__ import annotations

import abc
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from bilevel.errors import ConfigurationError


class VectorEnvironment(VecEnv):
    """A `VecEnv` of stable-baselines3 that goes on, bit for bit, from a state that was kept.

    An environment whose episode ends begins the next one in the same step. The observation before that is in its
    ``info["terminal_observation"]``, ``info["TimeLimit.truncated"]`` says whether it was the time limit alone that
    ended it, and ``info["episode"]`` holds the return ``r`` and the length ``l`` of what ended.

    Args:
        count: how many environments there are.
        observation_space: of each of them.
        action_space: of each of them.
        seed: environment i is seeded with ``seed + i`` by the first `reset`, as `VecEnv.seed` has it.
    """

    def __init__(
        self, count: int, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], *, seed: int
    ) -> None:
        super().__init__(count, observation_space, action_space)
        self.seed(seed)

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return where all environments stand, as tensors and plain Python values.

        Raises:
            ConfigurationError: before the first `reset`.
        """

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned; no `reset` is due.

        Raises:
            ConfigurationError: if the state is of other environments, or of another number of them.
        """

    @property
    @abc.abstractmethod
    def observations(self) -> Any:
        """The observations that the next actions answer, of shape (count, features)."""

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Say whether environments are wrapped with ``wrapper_class``."""
        return [False for _ in self._get_indices(indices)]


def require_state_of(state: dict[str, Any], **expected: Any) -> None:
    """Raise unless a state is of the same environments.

    Raises:
        ConfigurationError: naming what differs.
    """
    for name, value in expected.items():
        if state.get(name) != value:
            raise ConfigurationError(
                f"The state is of environments whose {name} is {state.get(name)!r}; here it is {value!r}. "
                "Make them as those were made whose state it is."
            )
