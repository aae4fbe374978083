"""What rules made of other rules have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import cast

from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.rules.module import ModuleRule
from bilevel.rules.protocol import Rule, sees_gradient


class Composite(ModuleRule, abc.ABC):
    """A rule that consults other rules, learned and hand-written alike.

    It is a module, so that ``parameters()``, ``to()``, ``train()`` and ``state_dict()`` reach the learned
    ones among them; the others (TorchOpt's optimizers, dataclasses) hold nothing to register.

    Args:
        rules: the rules to consult, at least one.

    Raises:
        ConfigurationError: if there is none, or one does not speak the protocol.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__()
        if not rules:
            raise ConfigurationError(f"{type(self).__name__} needs at least one rule")
        for rule in rules:
            if isinstance(rule, type) or not isinstance(rule, Rule):
                raise ConfigurationError(
                    f"{type(self).__name__} got {rule!r}, which is no rule: a rule has the methods init and update"
                )
        # A module is kept in one place only, so that a submodule replaced from outside is replaced here too.
        self._learned = nn.ModuleDict({str(i): r for i, r in enumerate(rules) if isinstance(r, nn.Module)})
        self._written = {i: r for i, r in enumerate(rules) if not isinstance(r, nn.Module)}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order in which they were given."""
        count = len(self._learned) + len(self._written)
        return tuple(
            self._written[i] if i in self._written else cast("Rule", self._learned[str(i)]) for i in range(count)
        )

    @property
    def sees_gradient(self) -> bool:
        """Whether any of the rules looks at the gradient."""
        return any(sees_gradient(rule) for rule in self.rules)
