"""What a classifier makes of the clean images, as a constant of an attack."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor


@final
class AttackConstant:
    """A tensor that is computed once an attack, without a graph, however many steps the attack has.

    Args:
        compute: what makes it of the clean images.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        self._compute = compute
        self._kept: tuple[Tensor, Tensor] | None = None

    def forget(self) -> None:
        """Take note that an attack begins: the classifier may be another one than before."""
        self._kept = None

    def knows(self, x: Tensor) -> bool:
        """Whether the constant for the clean images ``x`` is there already."""
        return self._kept is not None and self._kept[0] is x

    def note(self, x: Tensor, value: Tensor) -> None:
        """Take the constant for the clean images ``x`` from where it was a by-product."""
        self._kept = x, value.detach()

    def __call__(self, x: Tensor) -> Tensor:
        """Return the constant for the clean images ``x``."""
        if self._kept is None or self._kept[0] is not x:
            with torch.no_grad():
                self._kept = x, self._compute(x)
        return self._kept[1]
