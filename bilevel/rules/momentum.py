"""A gradient step with momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from bilevel.errors import ConfigurationError
from bilevel.flat import flatten
from bilevel.rules.protocol import State
from bilevel.tree import Tree, tree_map


@final
@dataclass(frozen=True)
class Momentum:
    r"""Move along a sum of all gradients so far, in which each counts for less than the one after it.

    $$v_{t+1} = \mu v_t + \nabla_z q(z_t), \qquad u = -\eta \, v_{t+1}, \qquad v_0 = 0$$

    The same as ``torchopt.sgd(step, momentum=decay)``, in fewer operations. The state is v, a tree like z.

    Args:
        step: the length $\eta$ of a step; positive.
        decay: μ, in [0, 1).

    Raises:
        ConfigurationError: if ``step`` is not a positive finite number, or ``decay`` not in [0, 1).

    Source: Polyak 1964.

    Examples:
        >>> rule = Momentum(0.1, 0.5)
        >>> _, state = rule.update(torch.tensor([2.0]), rule.init(torch.zeros(1)))
        >>> rule.update(torch.tensor([2.0]), state)[0]
        tensor([-0.3000])
    """

    step: float
    decay: float = 0.9
    smooth_at_zero: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            raise ConfigurationError(f"Momentum's step is {self.step}; it must be positive and finite")
        if not 0 <= self.decay < 1:
            raise ConfigurationError(f"Momentum's decay is {self.decay}; it must be at least 0 and below 1")

    def init(self, params: Tree) -> State:
        """Return the velocity 0."""
        return tree_map(lambda leaf: torch.zeros_like(leaf, requires_grad=False), params)

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return ``-step`` times the next velocity, and that velocity."""
        slopes = flatten(grads)
        pairs = zip(slopes.leaves, flatten(state).leaves, strict=True)
        velocity = [torch.add(slope, before, alpha=self.decay) for slope, before in pairs]
        return slopes.like([-self.step * v for v in velocity]).tree, slopes.like(velocity).tree
