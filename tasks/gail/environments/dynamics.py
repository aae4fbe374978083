"""What an environment of ours is: its start and its step, for many of them at once."""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

States = Float[np.ndarray, "numbers count"]
"""A column an environment: a row of one number lies in one piece, which NumPy's loops like."""


class Dynamics(abc.ABC):
    """The start and the step of an environment of gymnasium, the same to the last bit.

    Attributes:
        name: gymnasium's id.
        limit: gymnasium's time limit, in steps.
    """

    name: ClassVar[str]
    limit: ClassVar[int]
    render_mode: ClassVar[None] = None

    @abc.abstractmethod
    def observation_space(self) -> spaces.Box:
        """Return the space of observations; an observation is the state in single precision."""

    @abc.abstractmethod
    def action_space(self) -> spaces.Discrete:
        """Return the space of actions."""

    @abc.abstractmethod
    def first(self, generator: np.random.Generator) -> Float[np.ndarray, " numbers"]:
        """Return the state at the start of an episode, drawn as gymnasium draws it."""

    @abc.abstractmethod
    def step(
        self, states: States, actions: Int[np.ndarray, " count"]
    ) -> tuple[States, Float[np.ndarray, " count"], Bool[np.ndarray, " count"]]:
        """Return the next states, the rewards, and whether the episodes ended in themselves."""
