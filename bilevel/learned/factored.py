"""Layers whose weight's gradient is never written down, because it is an outer product."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from bilevel.errors import ConfigurationError


@final
class FactoredLinear(nn.Module):
    r"""A linear layer for a batch of one, whose weight is trained without its gradient being stored.

    $$y = W x + b, \qquad \nabla_b = \delta, \qquad \nabla_W = \delta\, x^\top$$

    With one sample the gradient in W is the outer product of the gradient in b and of the input. So autograd is asked
    for δ alone, the layer notes x, and `FactoredAdam` moves W in place: neither the gradient nor moments of the size of
    W exist. The gradient that results is exact.

    Args:
        layer: the layer whose weight and bias are taken over, not copied; it needs a bias.

    Raises:
        ConfigurationError: if the layer has no bias.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        if layer.bias is None:
            raise ConfigurationError("FactoredLinear needs a layer with a bias, whose gradient is half of its weight's")
        self.weight = layer.weight.requires_grad_(False)
        self.bias = layer.bias
        self._input: Tensor | None = None
        self._uses = 0

    def forward(self, x: Float[Tensor, "samples in"]) -> Float[Tensor, "samples out"]:
        """Return W x + b, and note x if the result will be differentiated in b.

        Raises:
            ConfigurationError: if x is not one sample.
        """
        if x.ndim != 2 or len(x) != 1:
            raise ConfigurationError(
                f"A factored rule works on one sample, all numbers of z together, and got an input of shape "
                f"{tuple(x.shape)}: build it with the number of entries of z as its size."
            )
        if torch.is_grad_enabled() and self.bias.requires_grad:
            self._input, self._uses = x.detach(), self._uses + 1
        return linear(x, self.weight.detach(), self.bias)

    def take_input(self) -> Float[Tensor, " in"]:
        """Return the input x that belongs to the gradient in b, and forget it.

        Raises:
            ConfigurationError: if the layer was not used just once since the last call.
        """
        found, uses = self._input, self._uses
        self._input, self._uses = None, 0
        if found is None or uses != 1:
            raise ConfigurationError(
                f"A factored rule was used {uses} times before its optimizer's step, and its gradient is an outer "
                "product after one use only: let it make one update a step (steps=1), or take the rule as it is, with "
                "Adam."
            )
        return found[0]


def factored(rule: nn.Module) -> None:
    """Replace each linear layer of ``rule`` by a `FactoredLinear` that has its weight and bias.

    Args:
        rule: a learned rule that sees all of z as one sample, such as ``MLP(size=m)``. It is changed in place, and
            keeps the number of its parameters; those that ask for a gradient are biases and what is in no linear layer.

    Raises:
        ConfigurationError: if there is no linear layer, or one has no bias.
    """
    found = [(parent, name, child) for parent in rule.modules() for name, child in parent.named_children()]
    layers = [(parent, name, child) for parent, name, child in found if isinstance(child, nn.Linear)]
    if not layers:
        raise ConfigurationError(f"{type(rule).__name__} has no linear layer that could be factored")
    for parent, name, layer in layers:
        setattr(parent, name, FactoredLinear(layer))
