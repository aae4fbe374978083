"""The states of NumPy's random generators as plain values."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as numbers, texts and lists."""
    plain: dict[str, Any] = _plain(generator.bit_generator.state)
    return plain


def generator_from(state: dict[str, Any]) -> np.random.Generator:
    """Return a new generator that stands where the one of `generator_state` stood."""
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = copy.deepcopy(state)
    return np.random.Generator(bits)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
