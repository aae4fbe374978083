"""What `bilevel reproduce` makes: the interface."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.run import Run


class Reproduction(abc.ABC):
    """A table or figure, made in a run of its own that can be stopped and gone on with."""

    options: ClassVar[tuple[str, ...]]
    """The command's options that it takes; as plain values they are the run's settings."""

    def complete(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings with what is usual in place of ``None``, where that depends on what is made."""
        return settings

    @abc.abstractmethod
    def check(self, settings: Mapping[str, Any]) -> None:
        """Say what is wrong with the settings, before a folder is made.

        Raises:
            BilevelError: if it cannot be made with them.
        """

    @abc.abstractmethod
    def stem(self, settings: Mapping[str, Any]) -> str:
        """Return the usual name of the run's folder."""

    @abc.abstractmethod
    def go_on(self, run: Run) -> None:
        """Do what is missing of a run with such settings, and compare.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM; what is done is kept.
        """
