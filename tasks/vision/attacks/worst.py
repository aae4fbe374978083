"""Several attacks as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.attacks.base import Attack
from tasks.vision.attacks.in_turn import in_turn
from tasks.vision.data import ImageBatch


@final
class Worst(Attack):
    """The worst of several attacks, sample by sample: a sample stands only if it stands against each.

    The attacks take turns; a sample that one has fooled is spared the next. PGM from several seeds is PGM with
    restarts.

    Args:
        attacks: the attacks, at least one, all within the same ball.

    Raises:
        ConfigurationError: if there is none, or their balls differ.
    """

    def __init__(self, *attacks: Attack) -> None:
        if not attacks or not all(isinstance(one, Attack) for one in attacks):
            raise ConfigurationError(
                f"Worst needs one or more attacks, as in Worst(pgm(0.2, 100), cw(0.2, 100)); got {attacks!r}."
            )
        self.attacks: Sequence[Attack] = attacks
        self._ball = {key: attacks[0].describe().get(key) for key in ("eps", "norm")}
        for one in attacks[1:]:
            other = {key: one.describe().get(key) for key in self._ball}
            if other != self._ball:
                raise ConfigurationError(
                    f"Worst: {one.name} attacks within {other}, {attacks[0].name} within {self._ball}; the worst of "
                    "several attacks needs the same ball for all."
                )

    @property
    def name(self) -> str:
        """Such as "PGM-100 + CW-100"."""
        return " + ".join(one.name for one in self.attacks)

    @property
    def looks(self) -> str:  # type: ignore[override] # (here it depends on the parts)
        """What its attacks look at, if that is the same for all."""
        kinds = {one.looks for one in self.attacks}
        return kinds.pop() if len(kinds) == 1 else "all"

    @property
    def stages(self) -> Sequence[Attack]:
        """The attacks."""
        return self.attacks

    @property
    def identity(self) -> str:
        """Those of the attacks."""
        return " + ".join(one.identity for one in self.attacks)

    def describe(self) -> dict[str, str | float | int]:
        """Return what the attacks have in common: eps and norm."""
        return {key: value for key, value in self._ball.items() if value is not None}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return for each sample the first attack's image that fools the model; the last attack's if none does."""
        return in_turn(self.attacks, model, batch)
