"""Processes that train together: the interface, and the process that is alone."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, final

from torch import Tensor

ResultT = TypeVar("ResultT")


class Processes(abc.ABC):
    """The processes of one training, each of which takes its steps on its own share of every batch.

    All of them call the same methods in the same order. The losses must be means over a batch and the shares of equal
    size, so that the mean of the gradients over the processes is the gradient of the whole batch.

    Attributes:
        rank: which of the processes this is, from 0; the first one writes logs and checkpoints.
        count: how many there are.
    """

    rank: int
    count: int

    @property
    def is_first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    @abc.abstractmethod
    def mean_gradient(self, gradient: Sequence[Tensor | None], buffers: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """Return the mean of ``gradient`` over the processes; ``buffers`` become their means in place."""

    @abc.abstractmethod
    def equalise(self, tensors: Sequence[Tensor]) -> None:
        """Give ``tensors`` the values that they have in the first process."""

    @abc.abstractmethod
    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is set in any of the processes."""

    @abc.abstractmethod
    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the means of ``numbers``, which have the same names everywhere."""

    @abc.abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Return the ``value`` of all processes, by rank, in the first process, and an empty list in the others."""

    @abc.abstractmethod
    def from_first(self, make: Callable[[], ResultT]) -> ResultT:
        """Return what ``make`` returns in the first process, or raise what it raises there, in all of them."""


@final
class Alone(Processes):
    """One process: it shares nothing, and nothing is copied or waited for."""

    rank = 0
    count = 1

    def mean_gradient(self, gradient: Sequence[Tensor | None], buffers: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """Return ``gradient``."""
        return gradient

    def equalise(self, tensors: Sequence[Tensor]) -> None:
        """Do nothing."""

    def any(self, flag: bool) -> bool:
        """Return ``flag``."""
        return flag

    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return ``numbers``."""
        return dict(numbers)

    def gather(self, value: Any) -> list[Any]:
        """Return ``value`` by itself."""
        return [value]

    def from_first(self, make: Callable[[], ResultT]) -> ResultT:
        """Return what ``make`` returns."""
        return make()
