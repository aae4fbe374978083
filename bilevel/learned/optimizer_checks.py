"""What `RuleOptimizer` holds, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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


def parameters_of(target: Any) -> list[Any]:
    """Return what torch's optimizers take of ``target``: a model's parameters with their names, else what it lists.

    Raises:
        ConfigurationError: if it is neither a model nor a list of parameters, or has none.
    """
    if isinstance(target, Tensor | Mapping) or not isinstance(target, nn.Module | Iterable):
        raise ConfigurationError(
            f"RuleOptimizer got {type(target).__name__} in place of parameters: give a model, model.parameters(), or a "
            "list of parameters or of param groups."
        )
    parameters = list(target.named_parameters()) if isinstance(target, nn.Module) else list(target)
    if not parameters:
        raise ConfigurationError("RuleOptimizer got no parameters: give a model, or model.parameters().")
    return parameters


def require_own_state(state_dict: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless a saved state is of a `RuleOptimizer` with the parameters of ``groups``, in the same order.

    Raises:
        CheckpointError: if it is not.
    """
    if "blocks" not in state_dict.get("state", ()) or "param_groups" not in state_dict:
        raise CheckpointError("This is the state of another optimizer: RuleOptimizer takes up only its own.")
    theirs, ours = ([len(group["params"]) for group in all_] for all_ in (state_dict["param_groups"], groups))
    if theirs != ours:
        raise CheckpointError(
            f"The saved state is of groups of {theirs} parameters, and this optimizer has {ours}: build it for the "
            "model and with the groups that it was saved with."
        )
    # A rule's state is ordered by the parameters' names, where they have some.
    if _order(state_dict["param_groups"]) != _order(groups):
        raise CheckpointError(
            "The saved state is of parameters with other names, or with names where these have none (or the other way "
            "round), which changes their order: give the optimizer what it was given when it was saved, the model or "
            "model.parameters()."
        )


def _order(groups: Sequence[Mapping[str, Any]]) -> list[int] | None:
    """Return the numbers of the parameters in the order of their names; ``None`` if they have none."""
    if "param_names" not in groups[0]:
        return None
    names = [name for group in groups for name in group["param_names"]]
    return sorted(range(len(names)), key=names.__getitem__)


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
