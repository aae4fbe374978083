"""Data that cannot be gone through a second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class MadeByPlayers(Protocol):
    """Batches that depend on where the players stand, such as rollouts of a policy.

    A resumed `bilevel.fit` passes over those batches of an epoch that are done by making them once more, which for
    these would be other batches, and would move what they come from. It asks for those that follow instead.
    """

    def __iter__(self) -> Iterator[Any]:
        """Return the batches of an epoch."""
        ...

    def batches_after(self, count: int) -> Iterable[Any]:
        """Return the batches of an epoch after the first ``count``; none is made before it is asked for."""
        ...
