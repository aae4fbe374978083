"""A command: the interface."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import tyro

from bilevel.errors import ConfigurationError

RunFolder: TypeAlias = Annotated[Path | None, tyro.conf.arg(name="run", aliases=["--out"])]
"""Where a command leaves its run: ``--run``, or ``--out`` since torchrun takes ``--run`` for its own."""


class Command(abc.ABC):
    """The options of a command are its fields; their docstrings are its help."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> Command | None:
        """Return the options to begin with, which may depend on ``arguments``; ``None`` for those of the class."""
        del arguments
        return None

    @abc.abstractmethod
    def run(self) -> None:
        """Do it."""


def named_preset(arguments: Sequence[str], usual: str, *, option: str = "--preset") -> str:
    """Return the preset that command-line arguments name by ``option``, which must be known before they can be read."""
    name = usual
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument.startswith(f"{option}="):
            name = argument.removeprefix(f"{option}=")
        elif before == option:
            name = argument
    return name


def free_folder(stem: Path) -> Path:
    """Return ``stem``, or with a number behind it the first name that is not taken yet."""
    taken = 1
    path = stem
    while path.exists():
        taken += 1
        path = stem.with_name(f"{stem.name}-{taken}")
    return path


def require(condition: bool, message: str) -> None:
    """Raise `ConfigurationError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ConfigurationError(message)
