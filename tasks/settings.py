"""Configurations as dataclasses: their way to plain values and back, and a check of their types."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from bilevel.errors import ConfigurationError
from tasks.names import look_up

ConfigT = TypeVar("ConfigT")


def to_dict(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration as plain values: numbers, texts, lists and ``None``."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def from_dict(kind: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """Return the configuration whose `to_dict` is ``values``; fields that are missing have their defaults.

    Raises:
        ConfigurationError: for an unknown field, listing the known, or a value out of range.
    """
    known: dict[str, Any] = get_type_hints(kind)
    fields = {name: _revive(value, look_up(known, name, "setting")) for name, value in values.items()}
    return kind(**fields)


def flags(config: Any, usual: Any) -> list[str]:
    """Return the words of a command line that turn the configuration ``usual`` into ``config``."""
    words: list[str] = []
    hints, before = get_type_hints(type(config)), to_dict(usual)
    for name, value in to_dict(config).items():
        flag = name.replace("_", "-")
        if value == before[name]:
            continue
        if hints[name] is bool:
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return words


def check_types(config: Any) -> None:
    """Raise unless each field's value is of the type that the field declares, and finite if it is a number.

    Raises:
        ConfigurationError: naming the field and what it must be.
    """
    for name, hint in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if not _fits(value, hint):
            wanted = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
            if isinstance(value, float) and not math.isfinite(value):
                wanted = "a finite number"
            raise ConfigurationError(f"{name} must be {wanted}, got {value!r}.")


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _revive(value: Any, hint: Any) -> Any:
    """Return ``value`` with the lists that stand for tuples made tuples."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if isinstance(value, list) and any(get_origin(one) is tuple for one in options):
        return tuple(value)
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        kinds = inner[:1] * len(value) if isinstance(value, tuple) and inner[-1] is Ellipsis else inner
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
