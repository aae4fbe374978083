"""The libraries of reinforcement learning, which are an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bilevel.errors import ConfigurationError

_LIBRARIES = ("gymnasium", "stable_baselines3", "sb3_contrib")


@contextmanager
def rl_extra() -> Iterator[None]:
    """Let the body import what the extra holds.

    Raises:
        ConfigurationError: if a library is missing, naming the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _LIBRARIES:
            raise
        raise ConfigurationError(
            f"Imitation learning needs {error.name}, of the extra 'rl': pip install 'bilevel[rl]'."
        ) from error
