"""A rule's construction as plain values, from which the same rule is built again without running any foreign code.

Whatever a rule is made of (inputs, preprocessings, networks, other rules) is described by the name of its class and the
arguments of its constructor. A name is looked up among known ones only; nothing is imported because a file says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import torch

from bilevel import rules
from bilevel.errors import ConfigurationError, RuleFileError
from bilevel.learned import inputs, preprocess
from bilevel.learned.convolutional import Convolutional
from bilevel.learned.grouped import Grouped
from bilevel.learned.low_rank import LowRank
from bilevel.learned.lstm import LSTM
from bilevel.learned.mlp import MLP
from bilevel.learned.multistep import Multistep
from bilevel.learned.residual import BoundedResidual
from bilevel.learned.slim import Slim
from bilevel.learned.small import Small
from bilevel.learned.wide import Wide
from bilevel.rules.module import ModuleRule

Plain: TypeAlias = Any
"""What JSON has: dicts, lists, strings, numbers, booleans and ``None``."""

KNOWN: Final[tuple[Callable[..., Any], ...]] = (
    *(LSTM, MLP, Multistep, Convolutional, Grouped, LowRank, BoundedResidual),
    *(rules.Adam, rules.Gradient, rules.Momentum, rules.SignGradient, rules.Stay),
    *(rules.Flattened, rules.Guarded, rules.Sum),
    *(inputs.Iterate, inputs.Direction, inputs.LastDirection, inputs.Start, inputs.Displacement, inputs.Noise),
    *(preprocess.Raw, preprocess.BatchMax, preprocess.SampleRMS, preprocess.Sign, preprocess.LogSign),
    *(Small, Wide, Slim),
    torch.tanh,
)
"""The classes and functions that a description may name."""


def describe(part: Any) -> Plain:
    """Return how ``part`` was made, as plain values.

    Args:
        part: a rule or anything that one is made of: a `ModuleRule` with ``settings``, a dataclass, a class or a
            function with a name, a sequence, a mapping or a plain value.

    Raises:
        ConfigurationError: if something in it cannot be described.
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if type(part) in (tuple, list):
        return [describe(one) for one in part]
    if isinstance(part, Mapping):
        return {"items": [[describe(key), describe(value)] for key, value in part.items()]}
    if isinstance(part, ModuleRule):
        return {"class": _name(type(part)), "settings": _each(part.settings)}
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        settings = {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}
        return {"class": _name(type(part)), "settings": _each(settings)}
    if callable(part) and str(getattr(part, "__name__", "")).isidentifier():
        return {"name": _name(part)}
    raise ConfigurationError(
        f"A rule with {part!r} in it cannot be written to a file: it is made of rules, inputs, preprocessings and "
        "networks of bilevel, of dataclasses, and of functions with a name. In place of an optimizer of TorchOpt take "
        "one of bilevel.rules, such as bilevel.rules.Adam."
    )


def build(description: Plain, known: Sequence[Callable[..., Any]] = ()) -> Any:
    """Return what `describe` described.

    Args:
        description: the plain values.
        known: classes and functions of one's own that it may name, besides those of the library.

    Raises:
        RuleFileError: if it names something unknown, or is no description.
        ConfigurationError: if a constructor refuses its arguments.
    """
    if isinstance(description, list):
        return tuple(build(one, known) for one in description)
    if not isinstance(description, dict):
        return description
    match description:
        case {"items": list(pairs)}:
            return {build(key, known): build(value, known) for key, value in pairs}
        case {"name": str(name)}:
            return _find(name, known)
        case {"class": str(name), "settings": dict(settings)}:
            arguments = {key: build(value, known) for key, value in settings.items()}
            return _find(name, known)(*arguments.pop("*", ()), **arguments)
    raise RuleFileError(f"{description!r} describes no part of a rule.")


def _each(settings: Mapping[str, Any]) -> dict[str, Plain]:
    return {key: describe(value) for key, value in settings.items()}


def _name(one: Callable[..., Any]) -> str:
    """Return the name of a class or function, after making sure that it will be found by it."""
    found = _known(()).get(one.__name__, one)
    if found is not one:
        raise ConfigurationError(f"{one!r} has the name of a part of bilevel, {found!r}, and would be lost: rename it.")
    return one.__name__


def _find(name: str, known: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    there = _known(known)
    if name not in there:
        raise RuleFileError(
            f"It names {name!r}, which is none of {', '.join(sorted(there))}. If it is a class or a function of yours, "
            f"pass it: load(..., known=[{name}])."
        )
    return there[name]


def _known(more: Sequence[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {one.__name__: one for one in (*more, *KNOWN)}
