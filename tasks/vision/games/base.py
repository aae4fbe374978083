"""What a classifier and the images that it is shown play for: the interface."""

from __future__ import annotations

import abc

from torch import nn

from bilevel.starts import Center, Start
from tasks.vision.beginning import Beginning
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.norm_modes import EvalModeNorm, NormMode


class Game(abc.ABC):
    """Both players' losses, as a frozen object without tensors, which makes the task for a classifier.

    A method of training is a game and a way to attack in it: every attacker, written by hand or learned, plays every
    game.
    """

    @abc.abstractmethod
    def task(
        self,
        model: nn.Module,
        eps: float,
        *,
        start: Start = Center(),  # noqa: B008 (frozen)
        norm: NormMode = EvalModeNorm(),  # noqa: B008 (frozen)
        beginning: Beginning | None = None,
    ) -> PerturbedImages:
        """Return the task.

        Args:
            model: the classifier; ``model(z)`` returns logits (n, classes).
            eps: ε, in units of the pixel range [0, 1].
            start: where an attack begins.
            norm: the batch-norm mode of the passes that make the attack.
            beginning: what attacks know of earlier visits, such as a `WarmStart`; ``None`` for nothing.

        Raises:
            ConfigurationError: if ``eps`` is out of range, or model or start do not fit the game.
        """
