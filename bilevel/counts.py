"""Whole numbers that users give."""

from __future__ import annotations

import operator
from typing import Any

from bilevel.errors import ConfigurationError


def check_count(name: str, value: Any) -> None:
    """Raise `ConfigurationError` unless ``value`` is a whole number from 1."""
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise ConfigurationError(f"{name} must be a whole number from 1, got {value!r}.")
