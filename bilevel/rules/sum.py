"""The sum of rules: a hand-written algorithm with a learned correction, for one."""

from __future__ import annotations

from functools import reduce
from typing import Any, final

from bilevel.rules.composite import Composite
from bilevel.rules.protocol import Rule, State
from bilevel.tree import Tree, add


@final
class Sum(Composite):
    r"""Add the updates of several rules that all look at the same iterate and gradient.

    $$u = \sum_i u_i$$

    With a learned rule whose last layer starts at zero, ``Sum(SignGradient(0.1), learned)`` begins as the
    hand-written rule and learns to correct it.

    Args:
        rules: the rules, each with a state of its own.

    Raises:
        ConfigurationError: if there is none, or one does not speak the protocol.

    Examples:
        >>> rule = Sum(SignGradient(0.1), torchopt.sgd(lr=1.0))
        >>> rule.update(torch.tensor([2.0]), rule.init(torch.zeros(1)), params=torch.zeros(1))[0]
        tensor([-2.1000])
    """

    def __init__(self, *rules: Rule) -> None:
        super().__init__(rules)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"*": self.rules}

    def init(self, params: Tree) -> State:
        """Return the tuple of the rules' states."""
        return tuple(rule.init(params) for rule in self.rules)

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return the sum of the rules' updates and the tuple of their next states."""
        answers = [
            rule.update(grads, own, params=params, inplace=False) for rule, own in zip(self.rules, state, strict=True)
        ]
        return reduce(add, (updates for updates, _ in answers)), tuple(after for _, after in answers)
