"""What all games between a classifier and the images it is shown have in common."""

from __future__ import annotations

import abc
from contextlib import AbstractContextManager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bilevel.starts import Center, Start
from bilevel.task import Task
from tasks.vision.beginning import Anew
from tasks.vision.checks import FirstBatch
from tasks.vision.data import ImageBatch
from tasks.vision.games.terms import Terms


class PerturbedImages(Task[nn.Module, ImageBatch], abc.ABC):
    """The follower's side: where the images begin, what they may become, and how batch norm behaves meanwhile.

    Args:
        model: the classifier; ``model(z)`` returns logits (n, classes).
        terms: on what terms images are perturbed.
        usual_start: where an attack begins if the terms name no start.

    Raises:
        ConfigurationError: if the radius is out of range.
    """

    def __init__(self, model: nn.Module, terms: Terms, usual_start: Start = Center()) -> None:  # noqa: B008 (frozen)
        super().__init__(leader=model)
        self.threat = terms.threat(usual_start)
        self.norm = terms.norm
        self.beginning = terms.beginning or Anew()
        self._layers = terms.norm.layers(model)
        self._check_first = FirstBatch()

    def start(self, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return where the attack begins."""
        return self.beginning.start(batch, self.threat)

    def project(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the allowed images nearest to ``z``."""
        return self.threat.project(batch.x, z)

    def cross_entropy(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of the images ``z``; the first batch is checked.

        Raises:
            ConfigurationError: if the first batch or its logits are not as they should be. Later batches are not looked
                at: it would take a wait for the device each time.
        """
        return functional.cross_entropy(self.logits(batch, z), batch.y)

    def logits(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of the images ``z``; the first batch is checked.

        Raises:
            ConfigurationError: as `cross_entropy` does.
        """
        return self.checked(batch, self.leader(z))

    def checked(self, batch: ImageBatch, logits: Tensor) -> Float[Tensor, "n classes"]:
        """Return ``logits`` after a look at the first batch of all.

        Raises:
            ConfigurationError: as `cross_entropy` does.
        """
        self._check_first(batch, logits)
        return logits

    @property
    def remembers(self) -> bool:
        """Whether the beginning does."""
        return self.beginning.remembers

    def remember(self, batch: ImageBatch, answer: Float[Tensor, "n c h w"], gradient: Float[Tensor, "n c h w"]) -> None:
        """Tell the beginning."""
        self.beginning.remember(batch, answer, gradient)

    def state_dict(self) -> dict[str, Any]:
        """Return the beginning's state."""
        return self.beginning.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hand the beginning its state."""
        self.beginning.load_state_dict(state)

    def inner_context(self) -> AbstractContextManager[Any]:
        """Return the batch-norm mode of the attack."""
        return self.norm.attacking(self._layers)

    def rule_context(self) -> AbstractContextManager[Any]:
        """Return the batch-norm mode of a learned attacker's own turn."""
        return self.norm.training_rule(self._layers)
