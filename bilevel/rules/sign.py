"""The sign-gradient rule, of which FGSM and PGM are one and several steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.rules.protocol import State
from bilevel.tree import Tree, tree_map


def visible_sign(g: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the sign of each entry, with NaN for NaN, where ``torch.sign`` has a silent 0."""
    return torch.where(g.isnan(), g, torch.sign(g))


@final
@dataclass(frozen=True)
class SignGradient:
    r"""Move every coordinate by the same length against its gradient.

    $$u = -\eta \, \mathrm{sign}(\nabla_z \ell(z))$$

    One step from the clean image is FGSM, several projected steps are PGM (PGD). A random start is the
    task's affair: it belongs to the point where the follower begins.

    Args:
        step: the length $\eta$ of a step, in the units of $z$; positive.

    Raises:
        ConfigurationError: if ``step`` is not a positive finite number.

    Source: Goodfellow et al. 2015; Jiang et al. 2021, Eq. 4.

    Examples:
        >>> rule = SignGradient(0.1)
        >>> rule.update(torch.tensor([3.0, 0.0, -2.0]), rule.init(torch.zeros(3)))[0]
        tensor([-0.1000, -0.0000,  0.1000])
    """

    step: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            raise ConfigurationError(f"SignGradient's step is {self.step}; it must be positive and finite")

    def init(self, params: Tree) -> State:
        """Return the empty state: each step forgets the one before."""
        return ()

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return ``-step * sign(grads)`` and the empty state."""
        return tree_map(lambda g: -self.step * visible_sign(g), grads), state
