"""What all learned rules have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import torch
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.learned.inputs import Input, Memory, View
from bilevel.rules.module import ModuleRule
from bilevel.rules.protocol import State
from bilevel.tree import Tree, leaves


class LearnedRule(ModuleRule, abc.ABC):
    r"""An update rule $u = g_\phi(\text{inputs})$ whose parameters $\phi$ are trained.

    Args:
        inputs: what the rule sees, in this order; at least one.

    Raises:
        ConfigurationError: if ``inputs`` is empty or holds something else.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        super().__init__()
        if not inputs or not all(isinstance(one, Input) for one in inputs):
            raise ConfigurationError(
                f"{type(self).__name__}'s inputs are {inputs!r}; "
                "it needs at least one of bilevel.learned's inputs, such as (Iterate(), Direction())"
            )
        self.inputs = tuple(inputs)

    @property
    def planes(self) -> int:
        """How many planes the inputs give together."""
        return sum(one.planes for one in self.inputs)

    @property
    def sees_gradient(self) -> bool:
        """Whether any input depends on the gradient."""
        return any(one.sees_gradient for one in self.inputs)

    def saturation(self, grads: Tree, state: State, *, params: Tree) -> dict[str, Tensor]:
        """Return the share of saturated inputs, if any of them can be saturated."""
        views = [View(z, gradient) for z, gradient in self._pairs(params, grads)]
        masks = [mask for one in self.inputs for view in views if (mask := one.saturated(view)) is not None]
        if not masks:
            return {}
        count = sum(mask.numel() for mask in masks)
        return {"saturated_inputs": torch.stack([mask.count_nonzero() for mask in masks]).sum() / count}

    def _remember(self, z: Tensor) -> tuple[Memory, ...]:
        """Return the inputs' memories for a start at ``z``."""
        return tuple(one.init(z) for one in self.inputs)

    def _read(
        self, z: Tensor, gradient: Tensor, memories: tuple[Memory, ...]
    ) -> tuple[list[Tensor], tuple[Memory, ...]]:
        """Return the planes of all inputs, in order, and the next memories."""
        views = [View(z, gradient, memory) for memory in memories]
        pairs = list(zip(self.inputs, views, strict=True))
        planes = [plane for one, view in pairs for plane in one.read(view)]
        return planes, tuple(one.remember(view) for one, view in pairs)

    def _pairs(self, params: Tree | None, grads: Tree) -> list[tuple[Tensor, Tensor]]:
        """Return each tensor of the iterate with its gradient, after checking that they fit."""
        return paired(self, params, grads)


def paired(rule: ModuleRule, params: Tree | None, grads: Tree) -> list[tuple[Tensor, Tensor]]:
    """Return each tensor of the iterate with its gradient.

    Raises:
        ConfigurationError: if the iterate is missing, or does not fit the gradient or the rule's precision.
    """
    name = type(rule).__name__
    if params is None:
        raise ConfigurationError(f"{name} is a learned rule: call update(..., params=the iterate)")
    iterates, gradients = leaves(params), leaves(grads)
    if [z.shape for z in iterates] != [g.shape for g in gradients]:
        raise ConfigurationError(
            f"{name} got gradients of shapes {[tuple(g.shape) for g in gradients]} "
            f"for an iterate of shapes {[tuple(z.shape) for z in iterates]}"
        )
    own = next(rule.parameters(), None)
    for dtype, device in {(z.dtype, z.device.type) for z in iterates} if own is not None else ():
        # Under autocast the layers choose their own precision.
        if own is not None and own.dtype != dtype and not torch.is_autocast_enabled(device):
            raise ConfigurationError(
                f"{name}'s parameters are {own.dtype} and z is {dtype}: call rule.to({dtype}) or give z as {own.dtype}"
            )
    return list(zip(iterates, gradients, strict=True))
