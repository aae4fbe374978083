"""A method of training a classifier: the interface."""

from __future__ import annotations

import abc

from torch import nn, optim

from bilevel.rules import Rule
from bilevel.solver import Solver
from tasks.vision.attacks import Attack
from tasks.vision.data import ImageBatch


class Method(abc.ABC):
    """How the images that a classifier learns from are perturbed.

    A method is a frozen object without tensors; `solver` makes what trains. All its lengths (steps, starts, the
    reach of a learned attacker) are in multiples of ε, so that one method serves every radius.
    """

    @abc.abstractmethod
    def solver(
        self, model: nn.Module, *, eps: float, channels: int, samples: int, leader_optimizer: optim.Optimizer
    ) -> Solver[ImageBatch]:
        """Return the solver that trains ``model`` in this way.

        Args:
            model: the classifier; a learned attacker is put on its device and into its dtype.
            eps: ε, in units of the pixel range [0, 1].
            channels: channels of an image.
            samples: how many images there are to learn from.
            leader_optimizer: over the parameters of ``model``.

        Raises:
            ConfigurationError: if ``eps`` is out of range.
        """

    def own_attack(self, rule: Rule, eps: float, label: str = "own attacker") -> Attack | None:
        """Return what the method has learned as an attack at radius ``eps``; ``None`` for one that learns none.

        Args:
            rule: the rule of the method's solver.
            eps: ε, in units of the pixel range [0, 1].
            label: the attack's name in tables.
        """
        return None
