"""What an expert did in an environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from jaxtyping import Shaped

from bilevel.errors import ConfigurationError


@final
@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Pairs of a state and an action, one trajectory after another.

    Attributes:
        environment: gymnasium's id of where it was.
        horizon: the steps of each episode if that is fixed (see `environments.make`); ``None`` if episodes end as the
            environment's do.
        observations: s, in the environment's units; float32 of shape (n, d).
        actions: a, whole numbers of a choice, int64 of shape (n,), or vectors, float32 of shape (n, k).
        lengths: how many pairs each trajectory has here; int64 of shape (episodes,).
        returns: what each trajectory earned *before* any subsampling, NaN where that is not known; float64 of shape
            (episodes,).
        about: where they come from, as plain values.

    Raises:
        ConfigurationError: if they are empty, hold a number that is not finite, or the shapes do not fit one another.
    """

    environment: str
    horizon: int | None
    # What is read from files goes through here: shapes and types are checked below, with messages for whoever uses it.
    observations: Shaped[np.ndarray, "..."]
    actions: Shaped[np.ndarray, "..."]
    lengths: Shaped[np.ndarray, "..."]
    returns: Shaped[np.ndarray, "..."]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {"observations": (np.float32, 2), "lengths": (np.int64, 1), "returns": (np.float64, 1)}
        for name, (kind, dimensions) in kinds.items():
            one = getattr(self, name)
            _require(
                (one.dtype, one.ndim) == (kind, dimensions),
                f"{name} are {np.dtype(kind)} of {dimensions} dimension(s), got {one.dtype} of shape {one.shape}.",
            )
        pairs, episodes = len(self.observations), len(self.lengths)
        _require(pairs > 0 and episodes > 0, f"Demonstrations of {self.environment} are empty: they hold no pair.")
        _require(
            (self.actions.dtype, self.actions.ndim) in {(np.dtype(np.int64), 1), (np.dtype(np.float32), 2)},
            f"actions are int64 of shape (n,) or float32 of shape (n, k), got {self.actions.dtype} of shape "
            f"{self.actions.shape}.",
        )
        _require(
            len(self.actions) == pairs,
            f"There are {pairs} observations and {len(self.actions)} actions: each pair has one of both.",
        )
        _require(
            int(self.lengths.sum()) == pairs and int(self.lengths.min()) >= 1,
            f"The lengths of the trajectories must be at least 1 and sum to the {pairs} pairs, got a sum of "
            f"{int(self.lengths.sum())} and a least of {int(self.lengths.min())}.",
        )
        _require(len(self.returns) == episodes, f"There are {episodes} trajectories and {len(self.returns)} returns.")
        finite = np.isfinite(self.observations).all() and np.isfinite(self.actions).all()
        _require(
            bool(finite and not np.isinf(self.returns).any()),
            f"Demonstrations of {self.environment} hold numbers that are infinite or not numbers.",
        )

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.observations)

    def take(self, trajectories: int) -> Demonstrations:
        """Return the first ``trajectories``.

        Raises:
            ConfigurationError: if there are not so many.
        """
        _require(
            1 <= trajectories <= len(self.lengths),
            f"There are {len(self.lengths)} demonstrated trajectories of {self.environment}, asked for are "
            f"{trajectories}: take from 1 to {len(self.lengths)}, or make more with `bilevel train gail-expert`.",
        )
        pairs = int(self.lengths[:trajectories].sum())
        return replace(
            self,
            observations=self.observations[:pairs],
            actions=self.actions[:pairs],
            lengths=self.lengths[:trajectories],
            returns=self.returns[:trajectories],
        )

    def subsample(self, rate: int, seed: int) -> Demonstrations:
        """Return every ``rate``-th pair of each trajectory, from a start that is drawn.

        The start is one of the first ``rate`` pairs, or of as many as the trajectory has, so that none gets lost.

        Args:
            rate: of so many pairs one is kept.
            seed: what the starts depend on.

        Raises:
            ConfigurationError: if ``rate`` is not positive.

        Source: Ho and Ermon 2016, appendix; their code takes 10 on CartPole and 5 on MountainCar.
        """
        _require(rate >= 1, f"The rate of subsampling must be at least 1, got {rate}.")
        begins = np.cumsum(self.lengths) - self.lengths
        starts = np.random.default_rng(seed).integers(0, np.minimum(self.lengths, rate))
        kept = [
            np.arange(begin + start, begin + length, rate)
            for begin, start, length in zip(begins, starts, self.lengths, strict=True)
        ]
        chosen = np.concatenate(kept)
        return replace(
            self,
            observations=self.observations[chosen],
            actions=self.actions[chosen],
            lengths=np.array([len(one) for one in kept], np.int64),
            about={**self.about, "subsampled": int(self.about.get("subsampled", 1)) * rate, "subsample_seed": seed},
        )

    def check(self, environment: str, observation_space: Any, action_space: Any) -> None:
        """Raise unless an expert of this environment could have done this.

        Args:
            environment: gymnasium's id of where they are to be used.
            observation_space: its space of observations.
            action_space: its space of actions.

        Raises:
            ConfigurationError: saying what does not fit.
        """
        where = f"The demonstrations are of {self.environment}"
        remedy = (
            f"name demonstrations of {environment}, or make them with `bilevel train gail-expert --env {environment}`."
        )
        _require(
            self.environment == environment,
            f"{where}, the environment is {environment}: {remedy}",
        )
        shape = tuple(observation_space.shape)
        _require(
            self.observations.shape[1:] == shape,
            f"{where} with {self.observations.shape[1]} numbers an observation, those of the environment have shape "
            f"{shape}: {remedy}",
        )
        choices = getattr(action_space, "n", None)
        if choices is not None:
            _require(
                self.actions.ndim == 1 and 0 <= int(self.actions.min()) <= int(self.actions.max()) < int(choices),
                f"{where} with {self._kind_of_actions()}, those of the environment are whole numbers from 0 to "
                f"{int(choices) - 1}: {remedy}",
            )
        else:
            _require(
                self.actions.ndim == 2 and self.actions.shape[1:] == tuple(action_space.shape),
                f"{where} with {self._kind_of_actions()}, those of the environment are vectors of shape "
                f"{action_space.shape}: {remedy}",
            )

    def check_horizon(self, horizon: int | None) -> None:
        """Raise unless the demonstrated episodes end as those do among which they are to be used.

        An expert whose episodes ended never shows what comes after the end, which a policy of a fixed horizon meets.

        Args:
            horizon: the steps of each episode if that is fixed.

        Raises:
            ConfigurationError: if the demonstrations are of another horizon.
        """
        theirs, wanted = (
            "end as the environment's do" if one is None else f"take {one} steps each"
            for one in (self.horizon, horizon)
        )
        options = f"--env {self.environment}" + ("" if horizon is None else f" --horizons {horizon}")
        _require(
            self.horizon == horizon,
            f"The episodes of these demonstrations of {self.environment} {theirs}, those of the training {wanted}: "
            f"name others, or make them with `bilevel train gail-expert {options}`.",
        )

    def _kind_of_actions(self) -> str:
        if self.actions.ndim == 1:
            return f"actions that are whole numbers from {int(self.actions.min())} to {int(self.actions.max())}"
        return f"actions that are vectors of {self.actions.shape[1]} numbers"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigurationError(message)
