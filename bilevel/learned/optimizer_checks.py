"""What `RuleOptimizer` holds, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from bilevel.errors import CheckpointError, ConfigurationError
from bilevel.rules.protocol import Rule, State
from bilevel.tree import leaves, replace_leaves


class Member(NamedTuple):
    """A parameter of the optimizer, its name (for messages only, if it has none of its own), and its group's factor."""

    parameter: Tensor
    name: str
    lr: float


def require_factor(lr: Any, what: str) -> None:
    """Raise unless ``lr`` is a number that updates can be multiplied by."""
    if not isinstance(lr, int | float) or not (math.isfinite(lr) and lr >= 0):
        raise ConfigurationError(
            f"{what} is {lr!r}; it must be a finite number of at least 0. It multiplies the rule's updates, so that 1 "
            "is what the rule was trained for."
        )


def require_known(group: Mapping[str, Any], what: str) -> None:
    """Raise if a param group has a setting of other optimizers, which would be ignored without a word."""
    if foreign := sorted({"weight_decay", "momentum", "betas", "eps", "dampening", "nesterov", "amsgrad"} & set(group)):
        raise ConfigurationError(
            f"{what} has {', '.join(foreign)}, which a learned rule has not: its one setting is lr. Leave it out."
        )


def require_place(rule: Rule, members: Sequence[Member]) -> None:
    """Raise unless all parameters have the dtype and the device of the rule's own."""
    own = next(rule.parameters(), None) if isinstance(rule, nn.Module) else None
    if own is None:
        return
    for p, name, _ in members:
        if (p.dtype, p.device) != (own.dtype, own.device):
            raise ConfigurationError(
                f"The rule {type(rule).__name__} is {own.dtype} on {own.device}, and the parameter {name} is {p.dtype} "
                f"on {p.device}: call rule.to(...) before it becomes an optimizer, or move the model."
            )


def require_dense(members: Sequence[Member]) -> None:
    """Raise if a gradient is sparse, which no rule can read."""
    if sparse := [one.name for one in members if one.parameter.grad is not None and one.parameter.grad.is_sparse]:
        raise ConfigurationError(
            f"The gradients of {', '.join(sparse)} are sparse, and a learned rule reads dense ones: build the "
            "embedding with sparse=False."
        )


def without_wrapper(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names without what torch.compile and data parallelism put before all of them.

    Args:
        names: of parameters.
        patterns: for which the names are wanted; what one of them begins with is left.
    """
    for wrapper in ("module.", "_orig_mod.", "module."):  # DDP is inside or outside of torch.compile
        asked = any(pattern.startswith(wrapper) for pattern in patterns)
        if not asked and all(name.startswith(wrapper) for name in names):
            names = [name.removeprefix(wrapper) for name in names]
    return list(names)


def require_distinct(names: Sequence[str]) -> None:
    """Raise if a name comes twice."""
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigurationError(
            f"Two parameters have the same name: {', '.join(sorted(twice))}. Give them names of their own, or none."
        )


def refilled(fresh: State, found: Sequence[Any]) -> State:
    """Return ``fresh`` with the entries ``found`` in place of its own, copies on its device.

    Raises:
        CheckpointError: if they are of other kinds, dtypes or shapes.
    """
    wanted = leaves(fresh)
    theirs, ours = list(map(_kind, found)), list(map(_kind, wanted))
    if theirs != ours:
        raise CheckpointError(
            f"The saved state holds {theirs}, and this rule has {ours} for its parameters: it was saved with another "
            "rule or another model."
        )
    pairs = zip(found, wanted, strict=True)
    copies = [new.to(old.device, copy=True) if isinstance(old, Tensor) else new for new, old in pairs]
    return replace_leaves(fresh, copies)


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype} {tuple(leaf.shape)}" if isinstance(leaf, Tensor) else type(leaf).__name__
