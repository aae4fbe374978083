"""A hand-written rule with a learned correction of bounded size."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.rules.composite import Composite
from bilevel.rules.protocol import Rule, State
from bilevel.tree import Tree, tree_map


@final
class BoundedResidual(Composite):
    r"""Move as a base rule does, and correct each coordinate by at most c.

    $$u = u_\text{base} + c \tanh(h / c)$$

    with h the update of a learned rule. Where h is small against c it is added as it is; however the learned rule
    fares, the follower is never farther than c a coordinate from where the base would have taken it. A learned rule
    whose last layer starts at zero begins as the base alone, and ``rule.base`` is the control that shows what the
    learned part adds.

    Args:
        learned: the rule that is corrected with.
        base: the rule that is corrected, such as ``Gradient(0.5)``.
        limit: c, in the units of z; positive.

    Raises:
        ConfigurationError: if ``limit`` is not a positive finite number, or a rule does not speak the protocol.

    Examples:
        >>> rule = BoundedResidual(MLP(1, (4,), zero_last=True), base=Gradient(0.5), limit=0.02)
        >>> z = torch.zeros(2)
        >>> rule.update(torch.tensor([3.0, -2.0]), rule.init(z), params=z)[0]
        tensor([-1.5000,  1.0000], grad_fn=<AddBackward0>)
    """

    def __init__(self, learned: Rule, *, base: Rule, limit: float) -> None:
        super().__init__([base, learned])
        if not (math.isfinite(limit) and limit > 0):
            raise ConfigurationError(f"BoundedResidual's limit is {limit}; it must be positive and finite")
        self.limit = limit

    @property
    def base(self) -> Rule:
        """The rule that is corrected."""
        return self.rules[0]

    @property
    def learned(self) -> Rule:
        """The rule that is corrected with."""
        return self.rules[1]

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"learned": self.learned, "base": self.base, "limit": self.limit}

    def init(self, params: Tree) -> State:
        """Return the states of the base and of the learned rule."""
        return self.base.init(params), self.learned.init(params)

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return the corrected update, and both next states."""
        steps, base_state = self.base.update(grads, state[0], params=params, inplace=False)
        outputs, learned_state = self.learned.update(grads, state[1], params=params, inplace=False)
        return tree_map(self._corrected, steps, outputs), (base_state, learned_state)

    def _corrected(self, step: Tensor, h: Tensor) -> Tensor:
        return step + self.limit * torch.tanh(h / self.limit)
