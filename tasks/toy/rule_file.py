"""The trained rule that comes with the package, and others of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from bilevel.errors import RuleFileError
from bilevel.learned import Multistep, load

SHIPPED: Final = Path(__file__).parent / "weights" / "multistep.safetensors"
"""A rule that is trained already; the README beside it says how."""


def load_rule(path: str | Path = SHIPPED, *, batched: bool = False, dtype: torch.dtype = torch.float64) -> Multistep:
    """Return the rule that `bilevel train toy-rule` wrote.

    Args:
        path: the file; by default the rule that comes with the package.
        batched: whether it is to move many problems at once.
        dtype: its precision.

    Raises:
        RuleFileError: if there is no such file, or it is damaged or holds another kind of rule.
    """
    rule = load(path).rule
    if not isinstance(rule, Multistep):
        raise RuleFileError(f"{path} holds a rule of the kind {type(rule).__name__}; games are played by a Multistep.")
    rule.batched = batched
    return rule.to(dtype)
