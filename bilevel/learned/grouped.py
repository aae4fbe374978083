"""Different rules for different parts of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, final

import optree
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.rules.composite import Composite
from bilevel.rules.module import ModuleRule
from bilevel.rules.protocol import Rule, State
from bilevel.tree import Tree, leaves, replace_leaves


@final
class Grouped(Composite):
    """Send each tensor of a tree to the rule of the first pattern that its name matches.

    A name is the path of the tensor in the tree, with dots between: "conv1.weight" both in a dict with that key
    and in nested dicts. Each rule sees a flat dict of its tensors, by name.

    Args:
        rules: a rule for each pattern, in the shell's notation ("conv*", "*.bias", "*").

    Raises:
        ConfigurationError: if there is no pattern, or a value is no rule.

    Source: Serban et al. 2020 use one meta-optimizer for convolutions and another for linear layers.

    Examples:
        >>> rule = Grouped({"conv*": LSTM(), "*": LSTM()})
        >>> z = {"conv1.weight": torch.rand(2, 1, 3, 3), "fc.bias": torch.rand(4)}
        >>> sorted(rule.init(z))
        ['*', 'conv*']
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        super().__init__(tuple(rules.values()))
        self.patterns = tuple(rules)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"rules": dict(zip(self.patterns, self.rules, strict=True))}

    def init(self, params: Tree) -> State:
        """Return a dict with the state of each pattern's rule.

        Raises:
            ConfigurationError: if a tensor matches no pattern, or a pattern gets no tensor.
        """
        groups = self._groups(params)
        return {pattern: rule.init(groups[pattern]) for pattern, rule in zip(self.patterns, self.rules, strict=True)}

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return each tensor's update by its rule, and the next states by pattern.

        Raises:
            ConfigurationError: if a tensor matches no pattern, or a pattern gets no tensor.
        """
        gradients = self._groups(grads)
        iterates = {} if params is None else self._groups(params)
        updates: dict[str, Tensor] = {}
        after: dict[str, State] = {}
        for pattern, rule in zip(self.patterns, self.rules, strict=True):
            mine, after[pattern] = rule.update(
                gradients[pattern], state[pattern], params=iterates.get(pattern), inplace=False
            )
            updates |= mine
        return replace_leaves(grads, [updates[name] for name in _names(grads)]), after

    def saturation(self, grads: Tree, state: State, *, params: Tree) -> dict[str, Tensor]:
        """Return the shares of each pattern's rule, the pattern before their names."""
        slopes, iterates = self._groups(grads), self._groups(params)
        return {
            f"{pattern} {name}": share
            for pattern, rule in zip(self.patterns, self.rules, strict=True)
            if isinstance(rule, ModuleRule)
            for name, share in rule.saturation(slopes[pattern], state[pattern], params=iterates[pattern]).items()
        }

    def assign(self, names: Sequence[str]) -> list[int]:
        """Return for each name the number of the first pattern that it matches.

        Raises:
            ConfigurationError: if a name comes twice or matches no pattern, or a pattern gets no name.
        """
        if len(set(names)) < len(names):
            raise ConfigurationError(f"Grouped got two tensors of the same name, so that one would be lost: {names}.")
        numbers: list[int] = []
        for name in names:
            first = next((i for i, pattern in enumerate(self.patterns) if fnmatchcase(name, pattern)), None)
            if first is None:
                raise ConfigurationError(
                    f"Grouped has no rule for {name!r}: its patterns are {list(self.patterns)}; "
                    'add one, or "*" at the end for all the rest'
                )
            numbers.append(first)
        for i, pattern in enumerate(self.patterns):
            if i not in numbers:
                raise ConfigurationError(
                    f"Grouped's pattern {pattern!r} gets no tensor: the names are {list(names)}, "
                    "and the first pattern that matches a name takes it"
                )
        return numbers

    def _groups(self, tree: Tree) -> dict[str, dict[str, Tensor]]:
        """Return the tensors by pattern and name."""
        groups: dict[str, dict[str, Tensor]] = {pattern: {} for pattern in self.patterns}
        names = _names(tree)
        for number, name, leaf in zip(self.assign(names), names, leaves(tree), strict=True):
            groups[self.patterns[number]][name] = leaf
        return groups


def _names(tree: Tree) -> list[str]:
    """Return the name of each tensor of ``tree``, in the order of its leaves."""
    return [".".join(map(str, path)) for path in optree.tree_paths(tree)]
