"""The task that an attack solves: the images move, the classifier stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.projections import box, linf_ball
from bilevel.task import MinimaxTask
from tasks.vision.data import ImageBatch

Start: TypeAlias = Callable[[Tensor], Tensor]
"""Where an attack begins, given the clean images: one of `bilevel.starts`."""

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""A scalar loss of logits (n, k) and labels (n)."""


@final
class FrozenClassifier(MinimaxTask[nn.Module, ImageBatch]):
    r"""The follower's half of adversarial training, against a classifier that does not move.

    .. math:: \max_z\ \ell(f(z), y) \quad \text{where } \lVert z - x \rVert_\infty \le \epsilon,\ z \in [0, 1]

    Args:
        model: f.
        eps: the radius ε, for pixels in [0, 1].
        start: where the images begin; a start outside the feasible set is projected, so that the first gradient
            is taken at an image.
        loss: ℓ, of logits and labels.
    """

    def __init__(self, model: nn.Module, *, eps: float, start: Start, loss: Loss) -> None:
        super().__init__(model)
        self.eps = eps
        self._start = start
        self._loss = loss

    def start(self, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the feasible start."""
        return self.project(batch, self._start(batch.x))

    def project(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Project onto the ball, then onto [0, 1]: for boxes that is the projection onto both."""
        return box(linf_ball(z, center=batch.x, radius=self.eps))

    def loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return ℓ(f(z), y)."""
        return self._loss(self.leader(z), batch.y)
