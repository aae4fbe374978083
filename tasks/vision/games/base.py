"""What a classifier and the images that it is shown play for: the interface."""

from __future__ import annotations

import abc

from torch import nn

from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.games.terms import Terms


class Game(abc.ABC):
    """Both players' losses, as a frozen object without tensors, which makes the task for a classifier.

    A method of training is a game and a way to attack in it: every attacker, written by hand or learned, plays every
    game.
    """

    @abc.abstractmethod
    def task(self, model: nn.Module, terms: Terms) -> PerturbedImages:
        """Return the task.

        Args:
            model: the classifier; ``model(z)`` returns logits (n, classes).
            terms: on what terms its images are perturbed.

        Raises:
            ConfigurationError: if the radius is out of range, or model or start do not fit the game.
        """
