"""Random search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.projections import box
from bilevel.starts import Uniform
from tasks.vision.attacks.base import Attack, check_count, check_eps
from tasks.vision.attacks.in_turn import in_turn
from tasks.vision.attacks.predict import predict
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch

ROUND = 1000
"""How many draws are made at a time; between rounds, what was found is kept, and samples that stand close ranks."""


@final
@dataclass(frozen=True)
class Random(Attack):
    """Draws perturbations uniformly from the ball and keeps the first that succeeds.

    No gradient is used: where it finds more than PGM does, the gradients are masked (Athalye et al. 2018). A sample
    that was fooled gets no more draws; the others get as many at once as keep the pass no larger than the batch.

    Args:
        eps: the ball's radius, for pixels in [0, 1]; a draw is clipped to [0, 1].
        draws: how many draws a sample gets at most.
        seed: of the draws.

    Raises:
        ConfigurationError: for a radius or a number of draws out of range.

    Source: Jiang et al. 2021, section 4 (10^5 draws a sample; 10^4 in the preprint).
    """

    looks: ClassVar[str] = "outputs"

    eps: float
    draws: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("Random", self.eps)
        check_count("Random", "draws", self.draws)

    @property
    def name(self) -> str:
        """Such as "Random-1000"."""
        return f"Random-{self.draws}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, the draws as steps, and the start."""
        return {"eps": self.eps, "norm": "linf", "steps": self.draws, "start": repr(Uniform(self.eps))}

    @property
    def stages(self) -> Sequence[Attack]:
        """The rounds; the first is what fewer draws would be."""
        if self.draws <= ROUND:
            return (self,)
        # Far apart, so that the rounds of neighbouring seeds are different ones.
        starts = range(0, self.draws, ROUND)
        return [Random(self.eps, min(ROUND, self.draws - done), self.seed + 7919 * done) for done in starts]

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return each sample's first draw that is misclassified; one of its draws if none is."""
        if self.draws > ROUND:
            return in_turn(self.stages, model, batch)
        with undisturbed(model, device=batch.x.device, seed=self.seed), torch.no_grad():
            return self._search(model, batch)

    def _search(self, model: nn.Module, batch: ImageBatch) -> Tensor:
        found = batch.x.clone()
        standing = torch.arange(len(batch.y), device=batch.x.device)
        left = self.draws
        while left and len(standing):
            x, y = batch.x[standing], batch.y[standing]
            count = min(left, len(batch.y) // len(standing))
            noise = torch.empty(count, *x.shape, dtype=x.dtype, device=x.device).uniform_(-self.eps, self.eps)
            drawn = box(x + noise)
            fooled = (predict(model, drawn.flatten(0, 1)).view(count, -1) != y).to(torch.uint8)
            success, first = fooled.max(0)  # of several maxima the first
            found[standing] = drawn[first, torch.arange(len(standing), device=x.device)]
            standing, left = standing[success == 0], left - count
        return found
