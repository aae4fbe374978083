"""A plain gradient step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from bilevel.errors import ConfigurationError
from bilevel.flat import flatten
from bilevel.rules.protocol import State
from bilevel.tree import Tree


@final
@dataclass(frozen=True)
class Gradient:
    r"""Move against the gradient.

    $$u = -\eta \, \nabla_z q(z)$$

    The same as ``torchopt.sgd(step)``, in fewer operations.

    Args:
        step: the length $\eta$ of a step; positive.

    Raises:
        ConfigurationError: if ``step`` is not a positive finite number.

    Source: Cauchy 1847.

    Examples:
        >>> rule = Gradient(0.1)
        >>> rule.update(torch.tensor([3.0, -2.0]), rule.init(torch.zeros(2)))[0]
        tensor([-0.3000,  0.2000])
    """

    step: float
    smooth_at_zero: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            raise ConfigurationError(f"Gradient's step is {self.step}; it must be positive and finite")

    def init(self, params: Tree) -> State:
        """Return the empty state: each step forgets the one before."""
        return ()

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return ``-step * grads`` and the empty state."""
        slopes = flatten(grads)
        return slopes.like([-self.step * slope for slope in slopes.leaves]).tree, state
