"""The Square attack: random search by squares, without gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.projections import box
from tasks.vision.attacks.base import Attack, check_count, check_eps
from tasks.vision.attacks.losses import lead_of_the_others
from tasks.vision.attacks.predict import logits_of
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch

_HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_DROP_EVERY = 32


@final
@dataclass(frozen=True)
class Square(Attack):
    r"""Changes a random square of each image to ± ε, and keeps it where the best wrong class gains on the label.

    The search begins at vertical stripes of ± ε. The squares cover the share p of an image, which is halved after 0.1,
    0.5, 2, 5, 10, 20, 40, 60 and 80 % of the queries. No gradient is used: where it finds more than attacks by
    gradients do, the gradients are masked. A sample that is misclassified is done.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        queries: how often a sample is shown to the classifier at most; 5000 in AutoAttack.
        share: p at the beginning; 0.8 in AutoAttack.
        seed: of the stripes and squares.

    Raises:
        ConfigurationError: for a radius, a share or a number of queries out of range.

    Source: Andriushchenko et al. 2020, Algorithms 1 and 2.
    """

    looks: ClassVar[str] = "outputs"

    eps: float
    queries: int = 5000
    share: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("Square", self.eps)
        check_count("Square", "queries", self.queries)
        if not 0 < self.share <= 1:
            raise ConfigurationError(f"Square: share must be above 0 and at most 1, got {self.share}.")

    @property
    def name(self) -> str:
        """Such as "Square-5000"."""
        return f"Square-{self.queries}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, the queries as steps, and the start."""
        return {"eps": self.eps, "norm": "linf", "steps": self.queries, "start": "stripes"}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the first misclassified image, else the one on which the best wrong class is closest."""
        with undisturbed(model, device=batch.x.device, seed=self.seed), torch.no_grad():
            return self._search(model, batch)

    def _search(self, model: nn.Module, batch: ImageBatch) -> Tensor:
        found = batch.x.clone()
        at = torch.arange(len(batch.y), device=batch.x.device)
        x, y = batch.x, batch.y
        z = box(x + self.eps * _signs(x.shape[0], x.shape[1], 1, x.shape[3], like=x))
        lead = lead_of_the_others(logits_of(model, z), y)
        for query in range(1, self.queries + 1):
            # How many stand is asked rarely: the device would be waited for.
            if query == self.queries or query & (query - 1) == 0 or query % _DROP_EVERY == 0:
                found[at] = z
                stands = lead <= 0
                at, x, y, z, lead = (one[stands] for one in (at, x, y, z, lead))
                if not len(at) or query == self.queries:
                    break
            tried = self._with_square(x, z, query)
            gained = lead_of_the_others(logits_of(model, tried), y)
            # A sample that is misclassified stays as it is; a lead that is not a number is kept, so that it is seen.
            better = ~(gained <= lead) & (lead <= 0)
            z, lead = torch.where(better.view(-1, 1, 1, 1), tried, z), torch.where(better, gained, lead)
        return found

    def _with_square(
        self, x: Float[Tensor, "n c h w"], z: Float[Tensor, "n c h w"], query: int
    ) -> Float[Tensor, "n c h w"]:
        """Return ``z`` with a square at x ± ε in each image, the sign drawn for each channel."""
        inside = _squares(x, self.size(query, x.shape[2], x.shape[3]))
        signs = _signs(x.shape[0], x.shape[1], 1, 1, like=x)
        return torch.where(inside, box(x + self.eps * signs), z)

    def size(self, query: int, height: int, width: int) -> int:
        """Return the side of the squares at a query, in pixels."""
        halvings = sum(query > share * self.queries for share in _HALVINGS)
        side = round(math.sqrt(self.share / 2**halvings * height * width))
        return min(max(side, 1), height, width)


def _signs(*shape: int, like: Tensor) -> Float[Tensor, "n c h w"]:
    return torch.randint(0, 2, shape, device=like.device).to(like.dtype).mul_(2).sub_(1)


def _squares(x: Float[Tensor, "n c h w"], size: int) -> Bool[Tensor, "n 1 h w"]:
    """Return a mask with a square at a random place in each image."""
    rows = _span(x, x.shape[2], size).view(len(x), 1, -1, 1)
    columns = _span(x, x.shape[3], size).view(len(x), 1, 1, -1)
    return rows & columns


def _span(x: Tensor, length: int, size: int) -> Bool[Tensor, "n length"]:
    first: Int[Tensor, "n 1"] = torch.randint(0, length - size + 1, (len(x), 1), device=x.device)
    places = torch.arange(length, device=x.device)
    return (places >= first) & (places < first + size)
