"""The classifiers, as functions of their weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

Weights: TypeAlias = dict[str, Tensor]
"""``weight0`` (outputs, inputs), ``bias0``, ``weight1`` and so on, from the input to the output."""


@final
@dataclass(frozen=True)
class Classifier:
    r"""A linear classifier, or a perceptron with hidden layers of tanh units.

    $$f_z(x) = W_L \tanh(\cdots \tanh(W_0 x + b_0) \cdots) + b_L$$

    Its weights are no part of it: they are the follower's answer z. The units are smooth, as hypergradients of second
    order ask.

    Args:
        inputs: d, numbers a sample.
        classes: c, numbers that come out.
        hidden: units of each hidden layer; none for a linear classifier.
        seed: of the first weights.
    """

    inputs: int
    classes: int
    hidden: tuple[int, ...] = ()
    seed: int = 0

    def start(self, like: Tensor) -> Weights:
        """Return the first weights, of the dtype and on the device of ``like``.

        They are zeros in a linear classifier, whose training problem is convex. Otherwise the weights are drawn evenly
        from ±1/√(inputs of the layer), and biases are zeros.
        """
        draw = torch.Generator().manual_seed(self.seed)
        weights: Weights = {}
        for layer, (inputs, outputs) in enumerate(self._layers):
            drawn = (
                torch.rand(inputs, outputs, generator=draw, dtype=torch.float64).mul_(2).sub_(1).div_(math.sqrt(inputs))
            )
            # A row an output, as torch.nn.Linear has it: with few outputs the gradient is several times cheaper.
            weights[f"weight{layer}"] = (drawn if self.hidden else torch.zeros_like(drawn)).t().contiguous().to(like)
            weights[f"bias{layer}"] = torch.zeros(outputs).to(like)
        return weights

    def logits(self, z: Weights, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return f_z(x)."""
        for layer in range(len(self._layers)):
            x = linear(x.tanh() if layer else x, z[f"weight{layer}"], z[f"bias{layer}"])
        return x

    @property
    def _layers(self) -> list[tuple[int, int]]:
        return list(itertools.pairwise((self.inputs, *self.hidden, self.classes)))
