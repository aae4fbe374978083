"""State-action pairs as rows of numbers, which is what the discriminator sees."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from bilevel.errors import ConfigurationError

if TYPE_CHECKING:
    from gymnasium import Space


class ActionEncoding(abc.ABC):
    """How actions become numbers."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many numbers an action gives."""

    @property
    @abc.abstractmethod
    def measured(self) -> int:
        """How many of them are measurements, which a normaliser may scale."""

    @abc.abstractmethod
    def __call__(self, actions: Tensor) -> Float[Tensor, "n k"]:
        """Return a row for each action.

        Raises:
            ConfigurationError: if these are no such actions.
        """


@final
@dataclass(frozen=True)
class OneHot(ActionEncoding):
    """A 1 in the place of the action, among zeros.

    Args:
        count: how many actions there are.
        first: the number of the first.
    """

    count: int
    first: int = 0

    @property
    def size(self) -> int:
        """As many as there are actions."""
        return self.count

    @property
    def measured(self) -> int:
        """None."""
        return 0

    def __call__(self, actions: Tensor) -> Float[Tensor, "n k"]:
        """Return the rows of whole numbers from ``first``, of shape (n,) or (n, 1)."""
        numbers = actions.long()
        if actions.numel() != len(actions) or not torch.equal(numbers.to(actions.dtype), actions):
            raise ConfigurationError(
                f"One-hot encoding needs one whole number an action, got actions of shape {tuple(actions.shape)} and "
                f"{actions.dtype}: these are continuous, encode them by Continuous({actions[:1].numel()})."
            )
        numbers = numbers.reshape(-1) - self.first
        if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < self.count:
            last = self.first + self.count - 1
            raise ConfigurationError(
                f"The actions must be from {self.first} to {last}, got {int(actions.min())} to {int(actions.max())}: "
                "are they those of another environment?"
            )
        return one_hot(numbers, self.count).to(torch.get_default_dtype())


@final
@dataclass(frozen=True)
class Continuous(ActionEncoding):
    """The action's own numbers.

    Args:
        count: how many there are.
    """

    count: int

    @property
    def size(self) -> int:
        """As many as the action has."""
        return self.count

    @property
    def measured(self) -> int:
        """All of them."""
        return self.count

    def __call__(self, actions: Tensor) -> Float[Tensor, "n k"]:
        """Return the actions of shape (n, ...) as rows."""
        rows = actions.reshape(len(actions), -1)
        if rows.shape[1] != self.count:
            raise ConfigurationError(
                f"The actions must have {self.count} numbers each, got {rows.shape[1]}: are they those of another "
                "environment?"
            )
        return rows.to(torch.get_default_dtype())


@final
@dataclass(frozen=True)
class Features:
    """Turn observations and actions, as stable-baselines3 and demonstrations hold them, into rows.

    Args:
        observation: how many numbers an observation has.
        actions: how actions become numbers.
    """

    observation: int
    actions: ActionEncoding

    @classmethod
    def of(cls, observations: Space[Any], actions: Space[Any]) -> Features:
        """Return the features of an environment with these gymnasium spaces.

        Raises:
            ConfigurationError: if the discriminator cannot see such observations or actions.
        """
        from gymnasium import spaces

        if not isinstance(observations, spaces.Box):
            raise ConfigurationError(f"The discriminator needs observations of numbers (a Box), got {observations}.")
        encoding: ActionEncoding
        if isinstance(actions, spaces.Discrete):
            encoding = OneHot(int(actions.n), int(actions.start))
        elif isinstance(actions, spaces.Box):
            encoding = Continuous(int(np.prod(actions.shape)))
        else:
            raise ConfigurationError(f"The actions must be Discrete or a Box, got {actions}.")
        return cls(int(np.prod(observations.shape)), encoding)

    @property
    def size(self) -> int:
        """f, numbers a pair."""
        return self.observation + self.actions.size

    @property
    def measured(self) -> int:
        """How many of them, from the first on, are measurements: the observation's, and those of continuous actions."""
        return self.observation + self.actions.measured

    def rows(self, observations: np.ndarray | Tensor, actions: np.ndarray | Tensor) -> Float[Tensor, "n f"]:
        """Return the observation's numbers and then the action's, a row a pair, in torch's default precision.

        Args:
            observations: of shape (n, ...).
            actions: of shape (n,) or (n, ...).

        Raises:
            ConfigurationError: if they do not fit the environment or one another.
        """
        seen, done = torch.as_tensor(observations), torch.as_tensor(actions)
        if len(seen) != len(done):
            raise ConfigurationError(f"There are {len(seen)} observations and {len(done)} actions; they must be pairs.")
        left = seen.reshape(len(seen), -1) if len(seen) else seen.reshape(0, self.observation)
        if left.shape[1] != self.observation:
            raise ConfigurationError(
                f"The observations must have {self.observation} numbers each, got {left.shape[1]}: are they those of "
                "another environment?"
            )
        return torch.cat([left.to(torch.get_default_dtype()), self.actions(done)], dim=1)
