"""A coordinate-wise rule that is handed all tensors of z as one vector."""

from __future__ import annotations

from typing import Any, final

from bilevel.flat import flatten
from bilevel.rules.composite import Composite
from bilevel.rules.protocol import Rule, State, smooth_at_zero
from bilevel.tree import Tree
from bilevel.vector import join, split


@final
class Flattened(Composite):
    """Let a rule work on one vector of all entries of z, rather than on each tensor of it.

    The updates of a rule that treats every coordinate alike, as all optimizers of TorchOpt do, stay the same; a network
    of many small tensors is updated in far fewer operations.

    Args:
        rule: a coordinate-wise rule.

    Raises:
        ConfigurationError: if it does not speak the protocol.

    Examples:
        >>> rule = Flattened(torchopt.sgd(0.1))
        >>> z = {"a": torch.zeros(1), "b": torch.zeros(2, 1)}
        >>> rule.update({"a": torch.ones(1), "b": torch.ones(2, 1)}, rule.init(z), params=z)[0]["a"]
        tensor([-0.1000])
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__([rule])

    @property
    def smooth_at_zero(self) -> bool:
        """Whether the rule has a finite derivative at a zero gradient."""
        return smooth_at_zero(self.rules[0])

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"rule": self.rules[0]}

    def init(self, params: Tree) -> State:
        """Return the rule's state for the vector."""
        return self.rules[0].init(join(flatten(params).leaves))

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return the rule's updates of the vector, cut into the shapes of ``grads``, and its next state."""
        slopes = flatten(grads)
        place = None if params is None else join(flatten(params).leaves)
        updates, after = self.rules[0].update(join(slopes.leaves), state, params=place, inplace=False)
        return slopes.like(split(updates, slopes.leaves)).tree, after
