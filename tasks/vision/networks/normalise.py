"""The normalisation of images, as a part of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError


@final
class Normalise(nn.Module):
    """Shift and scale each channel: ``(x - mean) / std``.

    Inside the network, so that perturbations and their radius stay in the units of the images, and a part of its state,
    so that a classifier that comes back from a file does not depend on data by which it would be measured anew.

    Args:
        mean: one number a channel.
        std: one number a channel, all above 0.

    Raises:
        ConfigurationError: if the two do not fit together or a number is out of range.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(s > 0 for s in std) or not all(map(math.isfinite, (*mean, *std))):
            raise ConfigurationError(
                f"Normalise needs a finite mean and a finite std above 0 for each channel, got mean={list(mean)} and "
                f"std={list(std)}."
            )
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the normalised images."""
        return (x - self.mean) / self.std
