"""A rule that is stopped before it has taken the answer beyond every bound."""

from __future__ import annotations

import math
from typing import Any, final

from bilevel.errors import ConfigurationError, DivergenceError
from bilevel.flat import flatten
from bilevel.rules.composite import Composite
from bilevel.rules.protocol import Rule, State, smooth_at_zero
from bilevel.tree import Tree, add, norms


@final
class Guarded(Composite):
    r"""Let a rule move as long as the answer stays finite and within a bound.

    $$u = u_\text{rule}, \qquad \lVert z + u \rVert_2 \le R$$

    An answer that left the bound is never handed on: neither the leader nor the rule's own training sees it. The check
    waits for the device once an update.

    Args:
        rule: the rule.
        limit: R, the largest Euclidean norm of all entries of z together; positive.
        name: what the rule is called in the error; by default its type's name.

    Raises:
        ConfigurationError: if ``limit`` is not a positive finite number, or the rule does not speak the protocol.

    Examples:
        >>> rule = Guarded(Gradient(1.0), limit=10.0)
        >>> rule.update(torch.tensor([3.0]), rule.init(torch.zeros(1)), params=torch.zeros(1))[0]
        tensor([-3.])
    """

    def __init__(self, rule: Rule, *, limit: float, name: str | None = None) -> None:
        super().__init__([rule])
        if not (math.isfinite(limit) and limit > 0):
            raise ConfigurationError(f"Guarded's limit is {limit}; it must be positive and finite")
        self.limit = limit
        self.name = name or type(rule).__name__

    @property
    def rule(self) -> Rule:
        """The rule that is watched."""
        return self.rules[0]

    @property
    def smooth_at_zero(self) -> bool:
        """Whether the rule has a finite derivative at a zero gradient."""
        return smooth_at_zero(self.rule)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"rule": self.rule, "limit": self.limit, "name": self.name}

    def init(self, params: Tree) -> State:
        """Return the rule's state."""
        return self.rule.init(params)

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return the rule's updates and its next state.

        Raises:
            DivergenceError: if the answer after the update is not finite, or longer than the bound.
            ConfigurationError: if ``params`` is missing.
        """
        if params is None:
            raise ConfigurationError("Guarded looks at the answer: call update(..., params=the iterate)")
        updates, after = self.rule.update(grads, state, params=params, inplace=False)
        (size,) = norms(flatten(add(params, updates)).leaves)
        length = float(size)
        if not length <= self.limit:  # which NaN is not either
            raise DivergenceError(
                f"The updater {self.name} diverged: after its update the norm of the answer is {length:.4g}, and at "
                f"most {self.limit:g} is allowed. The update was not made. If the updater is learned, train it at a "
                "smaller rate, with a price on its steps (bilevel.Proximal) or as a bounded correction "
                "(bilevel.learned.BoundedResidual); if it is not, take smaller steps."
            )
        return updates, after
