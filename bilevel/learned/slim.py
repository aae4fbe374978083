"""The slim attacker's network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.learned.block import ResidualBlock, normalised
from bilevel.learned.skip import SkipToLast


@final
class Gain(nn.Module):
    """Multiply by one learned number.

    Args:
        start: its first value.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([start]))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return ``value * x``."""
        return self.value * x


@final
@dataclass(frozen=True)
class Slim:
    """The paper's faster attacker, which works at half the resolution and shows its last layer the input again.

    The table prints a stride of 1 for the first convolution and the text lets the second one downsample; the
    authors' code gives the first a stride of 2, which is what the transposed convolution undoes, and so it is
    here. Any image size will do: an odd one grows by one pixel on the way and is cut back.

    Args:
        gain: the first value of the learned number that multiplies the output, before the rule's tanh.

    Source: Jiang et al., ICLR 2020 submission, Table 7, and the public code of Jiang et al. 2021.
    """

    gain: float = 5.0

    def __call__(self, in_channels: int, out_channels: int) -> nn.Module:
        """Return the network, without the final tanh, which is the rule's.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
        """
        body = nn.Sequential(
            normalised(nn.Conv2d(in_channels, 128, 3, stride=2, padding=1, bias=False)),
            ResidualBlock(128, 256),
            ResidualBlock(256, 128),
            nn.BatchNorm2d(128, affine=False),
            normalised(nn.ConvTranspose2d(128, 16, 4, stride=2, padding=1, bias=False)),
        )
        last = nn.Conv2d(16 + in_channels, out_channels, 3, padding=1, bias=False)
        return nn.Sequential(SkipToLast(body, last), Gain(self.gain))
