"""The rule of a follower that does not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from bilevel.rules.protocol import State
from bilevel.tree import Tree, tree_map


@final
@dataclass(frozen=True)
class Stay:
    r"""Stay where the follower began: $u = 0$, with no gradient taken.

    With it a robust training becomes a plain one, by the same solver.

    Examples:
        >>> rule = Stay()
        >>> rule.update(torch.ones(2), rule.init(torch.zeros(2)))[0]
        tensor([0., 0.])
    """

    sees_gradient: ClassVar[bool] = False

    def init(self, params: Tree) -> State:
        """Return the empty state."""
        return ()

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return zeros and the empty state."""
        return tree_map(torch.zeros_like, grads), state
