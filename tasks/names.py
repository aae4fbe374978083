"""Names that stand for objects, where only text can be given: on the command line and in a configuration file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from bilevel.errors import ConfigurationError

ValueT = TypeVar("ValueT")


def look_up(table: Mapping[str, ValueT], name: str, what: str) -> ValueT:
    """Return what ``name`` stands for.

    Args:
        table: the known names.
        name: the name.
        what: what it names, in a word or two, for the message.

    Raises:
        ConfigurationError: if it is unknown, listing those that are known.
    """
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    raise ConfigurationError(f"There is no {what} {name!r}.{guess} Known are: {', '.join(table)}.")
