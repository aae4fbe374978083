"""Rules that are modules, because they hold parameters."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.rules.protocol import Rule, State
from bilevel.tree import Tree


class ModuleRule(nn.Module, abc.ABC):
    """An update rule that is a module: ``parameters()``, ``to()``, ``train()`` and ``state_dict()`` reach its φ."""

    @property
    @abc.abstractmethod
    def sees_gradient(self) -> bool:
        """Whether the rule looks at the gradient."""

    @abc.abstractmethod
    def init(self, params: Tree) -> State:
        """Return the state for a follower that starts at ``params``."""

    @abc.abstractmethod
    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return what to add to ``params`` and the next state, as `bilevel.rules.Rule` says.

        With ``inplace`` the next state may take the place of ``state``, if no graph is asked for; ``grads`` stay as
        they are in any case.
        """

    def saturation(self, grads: Tree, state: State, *, params: Tree) -> dict[str, Tensor]:
        """Return what shares of the rule's parts have reached the ends of their ranges, by name; by default nothing.

        Args:
            grads: as in `update`.
            state: as in `update`.
            params: the iterate.
        """
        return {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The arguments with which the constructor makes the same rule, untrained; those without a name under "*".

        Raises:
            ConfigurationError: if the rule's class does not say; then it cannot be written to a file.
        """
        raise ConfigurationError(
            f"{type(self).__name__} does not say how it is made, so that a file could not give it back: define a "
            "property settings, a dict of its constructor's arguments."
        )

    def forward(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Do `update`; this is what ``torch.func.functional_call`` calls."""
        return self.update(grads, state, params=params, inplace=inplace)


def parameters_of_rule(rule: Rule) -> list[Tensor]:
    """Return φ, the parameters of ``rule``; none for one that is written by hand."""
    return list(rule.parameters()) if isinstance(rule, nn.Module) else []


@contextmanager
def evaluating(rule: Rule) -> Iterator[None]:
    """Put every part of a learned rule into evaluation mode for a while."""
    training = [m for m in rule.modules() if m.training] if isinstance(rule, nn.Module) else []
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
