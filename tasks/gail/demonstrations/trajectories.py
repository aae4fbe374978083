"""Trajectories that others have recorded, in the shape of `Demonstrations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.gail.demonstrations.demonstrations import Demonstrations


@final
@dataclass(frozen=True, eq=False)
class Trajectory:
    """One trajectory as libraries record it.

    Attributes:
        observations: of shape (steps + 1, d), the last one after the last action.
        actions: of shape (steps,) or (steps, k).
        rewards: of shape (steps,); ``None`` if they were not recorded.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray | None


def gather(
    trajectories: Sequence[Trajectory], *, environment: str, horizon: int | None, about: Mapping[str, Any], source: str
) -> Demonstrations:
    """Return trajectories as demonstrations.

    Args:
        trajectories: what was recorded.
        environment: gymnasium's id of where.
        horizon: the steps of each episode if that is fixed.
        about: where they come from.
        source: the file, for messages.

    Raises:
        DataError: if the shapes or types of a trajectory do not fit.
    """
    if not trajectories:
        raise DataError(f"{source} holds no trajectory.")
    for number, one in enumerate(trajectories):
        steps = len(one.actions)
        rewards = steps if one.rewards is None else len(one.rewards)
        if one.observations.ndim != 2 or len(one.observations) != steps + 1 or rewards != steps or not steps:
            raise DataError(
                f"Trajectory {number} of {source} has observations of shape {one.observations.shape}, actions of shape "
                f"{one.actions.shape} and {rewards} rewards; wanted are (steps + 1, d), (steps,) or (steps, k), and "
                "steps, with at least one step."
            )
    try:
        observations = np.concatenate([one.observations[:-1] for one in trajectories])
        actions = np.concatenate([one.actions for one in trajectories])
        return Demonstrations(
            environment,
            horizon,
            observations.astype(np.float32),
            _plain_actions(actions),
            np.array([len(one.actions) for one in trajectories], np.int64),
            np.array([np.nan if one.rewards is None else one.rewards.sum(dtype=np.float64) for one in trajectories]),
            about,
        )
    except (ValueError, ConfigurationError) as error:
        raise DataError(f"{source} does not hold demonstrations: {error}") from error


def _plain_actions(actions: np.ndarray) -> np.ndarray:
    """Return whole numbers as (n,) int64 and other numbers as (n, k) float32."""
    if np.issubdtype(actions.dtype, np.integer):
        return actions.astype(np.int64)
    return actions.reshape(len(actions), -1).astype(np.float32)
