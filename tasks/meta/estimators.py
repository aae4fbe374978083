"""How the gradient of the rule's parameters is estimated."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from torch import nn, optim

from bilevel.hypergradient import EvolutionStrategy, Hypergradient, PersistentEvolutionStrategy, Unrolled
from bilevel.rule_loss import SummedOverSteps
from bilevel.rules.module import ModuleRule
from bilevel.solver import Solver
from tasks.meta.guard import StopExplosions
from tasks.meta.task import JudgedOverSteps, Training

MakeTask = Callable[[nn.Module | None], Training]
"""Returns the task with the leader that it is given."""


class Estimator(abc.ABC):
    """A way to learn from windows of a network's training."""

    @abc.abstractmethod
    def solver(
        self, make: MakeTask, rule: ModuleRule, optimizer: optim.Optimizer, *, truncation: int, limit: float
    ) -> Solver[Any]:
        """Return the solver whose step is a window.

        Args:
            make: makes the task.
            rule: the rule.
            optimizer: what moves its parameters.
            truncation: K, the updates of a window.
            limit: the loss at a window's last answer beyond which nothing is learned from it.
        """


@final
@dataclass(frozen=True)
class FirstOrder(Estimator):
    r"""Back-propagation through the K updates of a window, the gradients that the rule sees being constants.

    $$\nabla_\phi \sum_{t=1}^K \ell_\text{judged}(z_t(\phi)), \qquad \nabla_z \ell_\text{shown}(z_t)
    \text{ constant}$$

    Source: Andrychowicz et al. 2016; Serban et al. 2020, section 3.
    """

    def solver(
        self, make: MakeTask, rule: ModuleRule, optimizer: optim.Optimizer, *, truncation: int, limit: float
    ) -> Solver[Any]:
        """Return a solver in which φ is the follower's own."""
        task = make(None)
        loss = SummedOverSteps() if task.one_loss else JudgedOverSteps()
        play = StopExplosions(limit)
        return Solver(task, rule, steps=truncation, rule_optimizer=optimizer, rule_loss=loss, play=play)


@final
@dataclass(frozen=True)
class Leading(Estimator):
    """The rule leads, and is moved along any hypergradient of what it is judged by.

    Args:
        hypergradient: such as `bilevel.EvolutionStrategy`; of the loss at the window's last answer.
    """

    hypergradient: Hypergradient

    def solver(
        self, make: MakeTask, rule: ModuleRule, optimizer: optim.Optimizer, *, truncation: int, limit: float
    ) -> Solver[Any]:
        """Return a solver in which φ is the leader."""
        return _leading(make, rule, optimizer, self.hypergradient, steps=truncation, limit=limit)


@final
@dataclass(frozen=True)
class SecondOrder(Estimator):
    r"""Back-propagation through the K updates of a window and the gradients in them: the exact derivative.

    $$\nabla_\phi \frac1K \sum_{t=1}^K \ell_\text{judged}(z_t(\phi))$$

    It needs a rule whose inputs are differentiated through (``Direction(..., detach=False)``).
    """

    def solver(
        self, make: MakeTask, rule: ModuleRule, optimizer: optim.Optimizer, *, truncation: int, limit: float
    ) -> Solver[Any]:
        """Return a solver in which φ is the leader."""
        return _leading(make, rule, optimizer, Unrolled(answers=truncation), steps=truncation, limit=limit)


def _leading(
    make: MakeTask,
    rule: ModuleRule,
    optimizer: optim.Optimizer,
    hypergradient: Hypergradient,
    *,
    steps: int,
    limit: float,
) -> Solver[Any]:
    return Solver(
        make(rule),
        rule,
        steps=steps,
        leader_optimizer=optimizer,
        hypergradient=hypergradient,
        play=StopExplosions(limit),
    )


def estimators(sigma: float, pairs: int) -> dict[str, Estimator]:
    """Return the estimators by name.

    Args:
        sigma: of the evolution strategies, in the units of φ.
        pairs: of them too.

    Raises:
        ConfigurationError: if a number is out of range.
    """
    return {
        "first-order": FirstOrder(),
        "second-order": SecondOrder(),
        "evolution": Leading(EvolutionStrategy(sigma, pairs)),
        "persistent-evolution": Leading(PersistentEvolutionStrategy(sigma, pairs)),
    }
