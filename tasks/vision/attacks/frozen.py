"""The task that an attack solves: the images move, the classifier stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.starts import Start
from bilevel.task import MinimaxTask
from tasks.vision.data import ImageBatch
from tasks.vision.threat import Threat

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""A scalar loss of logits (n, k) and labels (n)."""


@final
class FrozenClassifier(MinimaxTask[nn.Module, ImageBatch]):
    r"""The follower's half of adversarial training, against a classifier that does not move.

    $$\max_z\ \ell(f(z), y) \quad \text{where } \lVert z - x \rVert_\infty \le \epsilon,\ z \in [0, 1]$$

    Args:
        model: f.
        eps: the radius ε, for pixels in [0, 1].
        start: where the images begin.
        loss: ℓ, of logits and labels.
    """

    def __init__(self, model: nn.Module, *, eps: float, start: Start, loss: Loss) -> None:
        super().__init__(model)
        self.threat = Threat(eps, start)
        self._loss = loss

    def start(self, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return where the images begin."""
        return self.threat.start(batch.x)

    def project(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the allowed images nearest to ``z``."""
        return self.threat.project(batch.x, z)

    def loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return ℓ(f(z), y)."""
        return self._loss(self.leader(z), batch.y)
