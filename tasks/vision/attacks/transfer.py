"""Images made against one classifier, shown to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from tasks.vision.attacks.base import Attack
from tasks.vision.attacks.digest import digest
from tasks.vision.data import ImageBatch


@final
@dataclass(frozen=True, eq=False)
class Transfer(Attack):
    """A black-box attack: the images that ``attack`` makes against a surrogate, whatever classifier is attacked.

    Args:
        surrogate: a classifier of the same images, on the device of the images.
        attack: the attack on it.
        source: what the surrogate is called.

    Source: Liu et al. 2017; Jiang et al. 2020 (preprint), Tables 4 to 6.
    """

    looks: ClassVar[str] = "surrogate"

    surrogate: nn.Module
    attack: Attack
    source: str = "surrogate"

    @property
    def name(self) -> str:
        """Such as "PGM-10 from plain"."""
        return f"{self.attack.name} from {self.source}"

    @property
    def identity(self) -> str:
        """That of the attack, and a digest of the surrogate's weights."""
        return f"Transfer({self.attack.identity}, {digest(self.surrogate)})"

    def describe(self) -> dict[str, str | float | int]:
        """Return what the attack says."""
        return self.attack.describe()

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the images that fool the surrogate; ``model`` is not looked at."""
        return self.attack(self.surrogate, batch)
