"""The discriminator, as a function of its weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from bilevel.errors import ConfigurationError
from tasks.gail.weighting import AsTheyAre, Weighting

Weights: TypeAlias = dict[str, Tensor]
"""``weight0`` (outputs, inputs), ``bias0``, ``weight1`` and so on, from the input to the output."""


@final
@dataclass(frozen=True)
class Discriminator:
    r"""A perceptron with hidden layers of tanh units that tells the expert's state-action pairs from the policy's.

    $$s_\theta(x) = W_L \tanh(\cdots \tanh(W_0 x + b_0) \cdots) + b_L, \qquad
    P_\theta(\text{expert} \mid x) = \sigma(s_\theta(x))$$

    What comes out is the logit s: above 0 for a pair that looks like the expert's. The paper's D is the probability of
    the *policy*, $\sigma(-s)$. The weights are no part of it: they are the follower's answer.

    Source: Jiang et al., ICLR 2020 submission, appendix C.2 ((s, a) → 64 → 32 → 1, tanh).

    Args:
        features: f, numbers a pair.
        hidden: units of each hidden layer.
        weighting: what becomes of each layer's matrix before it multiplies.
        seed: of the first weights.

    Raises:
        ConfigurationError: if a size is not positive.
    """

    features: int
    hidden: tuple[int, ...] = (64, 32)
    weighting: Weighting = AsTheyAre()  # noqa: RUF009 (frozen)
    seed: int = 0

    def __post_init__(self) -> None:
        if min((self.features, *self.hidden)) < 1:
            raise ConfigurationError(
                f"Discriminator got {self.features} features and hidden layers of {list(self.hidden)} units; all must "
                "be positive."
            )

    @property
    def size(self) -> int:
        """m, the number of weights: 2,561 with CartPole's 4 + 2 features."""
        return sum(inputs * outputs + outputs for inputs, outputs in self._layers)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of the weights, by name."""
        found: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(self._layers):
            found |= {f"weight{layer}": (outputs, inputs), f"bias{layer}": (outputs,)}
        return found

    def start(self, like: Tensor) -> Weights:
        """Return the first weights, of the dtype and on the device of ``like``, always the same.

        All are drawn evenly from ±1/√(inputs of the layer), as those of a linear layer of torch.
        """
        draw = torch.Generator().manual_seed(self.seed)
        weights: Weights = {}
        for layer, (inputs, _) in enumerate(self._layers):
            for name in (f"weight{layer}", f"bias{layer}"):
                drawn = torch.rand(self.shapes[name], generator=draw, dtype=torch.float64)
                weights[name] = drawn.mul_(2).sub_(1).div_(math.sqrt(inputs)).to(like)
        return weights

    def logits(self, z: Weights, x: Float[Tensor, "n f"]) -> Float[Tensor, " n"]:
        """Return s of each pair.

        Args:
            z: the weights.
            x: the features of the pairs.
        """
        for layer in range(len(self._layers)):
            x = linear(x.tanh() if layer else x, self.weighting(z[f"weight{layer}"]), z[f"bias{layer}"])
        return x.squeeze(1)

    @property
    def _layers(self) -> list[tuple[int, int]]:
        return list(itertools.pairwise((self.features, *self.hidden, 1)))
