"""Where an attack on a batch begins: the interface, and the beginning that knows nothing of earlier visits."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, final

from jaxtyping import Float
from torch import Tensor

from tasks.vision.data import ImageBatch
from tasks.vision.threat import Threat


class Beginning(abc.ABC):
    """Gives the first images of an attack; one that remembers is told the last images too."""

    remembers: ClassVar[bool] = False
    """Whether `remember` wants to be called."""

    @abc.abstractmethod
    def start(self, batch: ImageBatch, threat: Threat) -> Float[Tensor, "n c h w"]:
        """Return where the attack on ``batch`` begins, allowed by ``threat`` unless its start says otherwise."""

    def remember(  # noqa: B027 (nothing by default)
        self, batch: ImageBatch, answer: Float[Tensor, "n c h w"], gradient: Float[Tensor, "n c h w"]
    ) -> None:
        """Take note of the images that an attack ended with, and of the loss's gradient there."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as tensors and plain Python values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 (nothing by default)
        """Take up the state that `state_dict` returned."""


@final
class Anew(Beginning):
    """Every attack begins at the threat's own start."""

    def start(self, batch: ImageBatch, threat: Threat) -> Float[Tensor, "n c h w"]:
        """Return the start."""
        return threat.start(batch.x)
