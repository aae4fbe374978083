"""Adversarial examples for a network that is given as its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.other_weights import with_weights
from bilevel.rules import SignGradient
from bilevel.starts import Center
from bilevel.tree import detach
from tasks.vision.attacks.base import check_count, check_eps
from tasks.vision.attacks.frozen import FrozenClassifier
from tasks.vision.attacks.losses import CrossEntropy
from tasks.vision.attacks.walk import walk
from tasks.vision.data import ImageBatch

Weights: TypeAlias = Mapping[str, Tensor]
"""A network's parameters by their names in it."""


@final
@dataclass(frozen=True)
class SignAttack:
    r"""Some sign-gradient steps from the clean images, at the weights of the moment, which are constants.

    $$x' = \Pi\big(x' + \rho\,\epsilon\, \mathrm{sign}\, \nabla_{x'} \ell(f_z(x'), y)\big)$$

    with the projection onto the ball of radius ε around the clean images and onto [0, 1].

    Args:
        eps: ε, for pixels in [0, 1].
        steps: 1 for FGSM, 7 for the paper's PGM.
        step: ρ, the length of a step in radii.

    Raises:
        ConfigurationError: for a number out of range.

    Source: Serban et al. 2020, Eq. 7 and 8. They print ρ = 1 for several steps too; Madry et al. 2018, whom
    they follow, have 1/4 with 7 steps.
    """

    eps: float
    steps: int = 1
    step: float = 1.0

    def __post_init__(self) -> None:
        check_eps("SignAttack", self.eps)
        check_count("SignAttack", "steps", self.steps)
        if not (0 < self.step < math.inf):
            raise ConfigurationError(f"SignAttack: step must be a finite number above 0, in radii, got {self.step}.")

    @property
    def name(self) -> str:
        """FGSM, or PGM with the number of steps."""
        return "FGSM" if self.steps == 1 and self.step == 1 else f"PGM-{self.steps}"

    def __call__(
        self, network: nn.Module, weights: Weights, batch: ImageBatch, share: float = 1.0
    ) -> Float[Tensor, "n c h w"]:
        """Return the adversarial examples, without a graph.

        Args:
            network: f.
            weights: z.
            batch: clean images and their labels.
            share: which part of ε is allowed, above 0 and at most 1.
        """
        eps = share * self.eps
        task = FrozenClassifier(network, eps=eps, start=Center(), loss=CrossEntropy())
        rule = SignGradient(self.step * eps)
        return with_weights(network, detach(weights), lambda: walk(task, rule, batch, [self.steps])[-1])


ATTACKS: Final = {"fgsm": (1, 1.0), "pgm": (7, 0.25), "pgm-paper": (7, 1.0)}
"""Numbers and lengths of steps by name; the last one as the paper prints it."""
