"""Where the numbers of the epochs go: the interface."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TypeAlias

Row: TypeAlias = Mapping[str, int | float]
"""The numbers of one epoch by name; ``epoch`` and ``step`` are always there."""


class Logger(abc.ABC):
    """Takes one row an epoch."""

    @abc.abstractmethod
    def start(self, last_step: int | None) -> None:
        """Training begins.

        Args:
            last_step: ``None`` for a new run. For one that is resumed, the last step whose rows stand: later ones
                belong to work that will be done again and must be forgotten.

        Raises:
            ConfigurationError: if a new run would overwrite an old one's log.
        """

    @abc.abstractmethod
    def log(self, row: Row) -> None:
        """Write the numbers of one epoch; later rows may have other names than earlier ones."""

    @abc.abstractmethod
    def close(self) -> None:
        """Training is over, well or not."""
