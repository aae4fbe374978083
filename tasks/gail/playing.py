"""Episodes that a policy plays in environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from bilevel.errors import ConfigurationError
from tasks.gail.environments import VectorEnvironment


@runtime_checkable
class Policy(Protocol):
    """Anything that acts, as the algorithms and policies of stable-baselines3 do."""

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[Any, Any]:
        """Return actions for ``observation``, and a state that is not looked at."""
        ...


@final
@dataclass(frozen=True, eq=False)
class Played:
    """Whole episodes, one after another.

    Attributes:
        observations: what the policy saw.
        actions: what it did.
        lengths: the steps of each episode.
        returns: the rewards of each episode, summed.
    """

    observations: Shaped[np.ndarray, "n *d"]
    actions: Shaped[np.ndarray, "n *k"]
    lengths: Int64[np.ndarray, " episodes"]
    returns: Float[np.ndarray, " episodes"]


def play(policy: Policy, environments: VectorEnvironment, episodes: int, *, deterministic: bool = False) -> Played:
    """Let a policy play.

    Each environment plays a share of the episodes that is fixed before: were the first that end taken, short episodes
    would count too much.

    Args:
        policy: who plays.
        environments: where; they are begun anew.
        episodes: how many episodes.
        deterministic: whether the policy takes its likeliest action, in place of drawing one.

    Returns:
        The episodes, those of the first environment first.

    Raises:
        ConfigurationError: if ``episodes`` is not positive.
    """
    rewards, dones, observations, actions = _steps(policy, environments, episodes, deterministic)
    count = environments.num_envs
    parts: list[tuple[int, slice]] = []
    for i in range(count):
        ends = np.flatnonzero(dones[:, i])[: _share(episodes, i, count)] + 1
        parts += [(i, slice(begin, end)) for begin, end in zip([0, *ends], ends, strict=False)]
    return Played(
        np.concatenate([observations[part, i] for i, part in parts]),
        np.concatenate([actions[part, i] for i, part in parts]),
        np.array([part.stop - part.start for _, part in parts], np.int64),
        np.array([rewards[part, i].sum(dtype=np.float64) for i, part in parts]),
    )


def evaluate(
    policy: Policy, environments: VectorEnvironment, episodes: int, *, deterministic: bool = False
) -> Float[np.ndarray, " episodes"]:
    """Return what a policy earns in each of ``episodes`` episodes (see `play`)."""
    return play(policy, environments, episodes, deterministic=deterministic).returns


def _steps(
    policy: Policy, environments: VectorEnvironment, episodes: int, deterministic: bool
) -> tuple[
    Float[np.ndarray, "t c"], Bool[np.ndarray, "t c"], Shaped[np.ndarray, "t c *d"], Shaped[np.ndarray, "t c *k"]
]:
    if episodes < 1:
        raise ConfigurationError(f"episodes must be at least 1, got {episodes}.")
    count = environments.num_envs
    wanted = np.array([_share(episodes, i, count) for i in range(count)])
    finished = np.zeros(count, np.int64)
    seen: Any = environments.reset()
    rows: list[tuple[Any, Any, Any, Any]] = []
    while (finished < wanted).any():
        actions, _ = policy.predict(seen, deterministic=deterministic)
        after, rewards, dones, _ = environments.step(actions)
        rows.append((rewards, dones, seen, actions))
        finished += dones
        seen = after
    rewards, dones, observations, actions = (np.stack(column) for column in zip(*rows, strict=True))
    return rewards, dones, observations, actions


def _share(episodes: int, i: int, count: int) -> int:
    return (episodes + count - 1 - i) // count
