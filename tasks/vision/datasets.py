"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable

from tasks.names import look_up
from tasks.vision.data import Split, digits

DATASETS: dict[str, Callable[[int], Split]] = {"digits": digits}
"""Loaders by name; each takes the seed of the split. They read nothing before they are called."""


def load(name: str, seed: int) -> Split:
    """Return a data set, split by ``seed``.

    Raises:
        ConfigurationError: if there is none of this name, listing the known, or what it needs is not installed.
    """
    return look_up(DATASETS, name, "data set")(seed)
