"""Rollouts of a policy, written into the buffer of its algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from tasks.gail.actors import actor_of
from tasks.gail.environments import VectorEnvironment


@final
@dataclass(frozen=True, eq=False)
class Rollout:
    """What a rollout was, beside what the buffer holds; a row is a step, one environment after another.

    Attributes:
        observations: s, in the environment's units.
        actions: a, as the environment took them.
        bootstrap: γ V(s') where an episode was cut off by its time limit, 0 elsewhere; (steps, count).
        last_values: V of the observations after the last step.
        last_done: whether an episode ended with the last step, an environment each.
        returns: the true returns of the episodes that ended.
        lengths: their lengths in steps.
        entropy: the mean entropy of the policy, in nats.
    """

    observations: Shaped[Tensor, "rows *shape"]
    actions: Shaped[Tensor, "rows *kind"]
    bootstrap: NDArray[np.float32]
    last_values: Float[Tensor, "count 1"]
    last_done: NDArray[np.bool_]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    entropy: float


@final
class Collector:
    """Plays a policy and writes what happened into the buffer of its algorithm, all but the rewards.

    Only the actions are computed step by step; values, log-probabilities and entropies of the whole rollout come from
    one pass. Episodes go on from one rollout to the next. True rewards are not looked at but for the returns reported.

    Args:
        algorithm: whose policy plays, and whose buffer is filled.
        environments: where.
        draw: the noise of the actions.
    """

    def __init__(
        self, algorithm: OnPolicyAlgorithm, environments: VectorEnvironment, draw: np.random.Generator
    ) -> None:
        self.algorithm = algorithm
        self.environments = environments
        self.draw = draw
        self._observations: NDArray[Any] | None = None
        self._starts = np.ones(environments.num_envs, dtype=bool)

    def collect(self) -> Rollout:
        """Play as many steps as the buffer has room for."""
        algorithm, buffer, environments = self.algorithm, self.algorithm.rollout_buffer, self.environments
        if self._observations is None:
            self._observations = np.asarray(environments.reset())
        steps, count = buffer.buffer_size, environments.num_envs
        buffer.reset()
        algorithm.policy.set_training_mode(False)
        actor = actor_of(algorithm.policy, steps=steps, count=count, draw=self.draw)
        box = algorithm.action_space if isinstance(algorithm.action_space, Box) else None
        ended: list[tuple[float, int]] = []
        cut: list[tuple[int, int, NDArray[Any]]] = []  # step, environment, last observation
        seen: Any = self._observations
        for step in range(steps):
            actions = actor.act(seen)
            buffer.observations[step] = seen
            buffer.actions[step] = actions.reshape(count, -1)
            buffer.episode_starts[step] = self._starts
            seen, _, done, infos = environments.step(actions if box is None else np.clip(actions, box.low, box.high))
            self._starts = done
            for one in np.flatnonzero(done):
                ended.append((float(infos[one]["episode"]["r"]), int(infos[one]["episode"]["l"])))
                if infos[one].get("TimeLimit.truncated"):
                    cut.append((step, int(one), np.array(infos[one]["terminal_observation"])))
        self._observations = np.array(seen)
        algorithm.num_timesteps += steps * count
        return self._judged(buffer, ended, cut)

    def _judged(
        self, buffer: RolloutBuffer, ended: list[tuple[float, int]], cut: list[tuple[int, int, NDArray[Any]]]
    ) -> Rollout:
        """Write values and log-probabilities into the full buffer."""
        policy, device, space = self.algorithm.policy, self.algorithm.device, self.algorithm.action_space
        observations = torch.from_numpy(flattened(buffer.observations)).to(device)
        actions = torch.from_numpy(flattened(buffer.actions)).to(device)
        if isinstance(space, Discrete):
            actions = actions.flatten()
        last = torch.from_numpy(self._observations).to(device)
        bootstrap = np.zeros_like(buffer.rewards)
        with torch.no_grad():
            values, log_probabilities, entropy = policy.evaluate_actions(observations, actions)
            last_values = policy.predict_values(last)
            if cut:
                ends = torch.from_numpy(np.stack([observation for _, _, observation in cut])).to(device)
                found = policy.predict_values(ends).flatten().cpu().numpy()
                for (step, one, _), value in zip(cut, found, strict=True):
                    bootstrap[step, one] = self.algorithm.gamma * value
        write(values, buffer.values)
        write(log_probabilities, buffer.log_probs)
        buffer.pos, buffer.full = buffer.buffer_size, True
        if isinstance(space, Box):  # a policy's draws lie outside too, and the expert's actions never do
            low, high = (torch.from_numpy(bound.reshape(1, -1)).to(actions) for bound in (space.low, space.high))
            actions = actions.clamp(low, high)
        mean_entropy = -log_probabilities.mean() if entropy is None else entropy.mean()
        return Rollout(
            observations,
            actions,
            bootstrap,
            last_values,
            np.array(self._starts),
            tuple(total for total, _ in ended),
            tuple(length for _, length in ended),
            float(mean_entropy),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return where the episodes stand, as tensors and plain Python values."""
        return {
            "observations": None if self._observations is None else torch.from_numpy(self._observations.copy()),
            "starts": torch.from_numpy(np.array(self._starts)),
            "draw": dict(self.draw.bit_generator.state),
            "environments": {} if self._observations is None else self.environments.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called."""
        found = state["observations"]
        self._observations = None if found is None else found.numpy().copy()
        self._starts = state["starts"].numpy().copy()
        self.draw.bit_generator.state = state["draw"]
        if found is not None:
            self.environments.load_state_dict(state["environments"])


def flattened(steps: NDArray[Any]) -> NDArray[Any]:
    """Return an array of (steps, environments, ...) as rows, one environment after another."""
    return np.ascontiguousarray(steps.swapaxes(0, 1)).reshape(-1, *steps.shape[2:])


def write(rows: Float[Tensor, "rows *one"], steps: NDArray[np.float32]) -> None:
    """Write a number a row, one environment after another, into an array of (steps, environments)."""
    count = steps.shape[1]
    steps[:] = rows.detach().cpu().numpy().reshape(count, -1).T
