"""The wide attacker's network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import nn

from bilevel.learned.block import ResidualBlock, normalised


@final
@dataclass(frozen=True)
class Wide:
    """The paper's large attacker: a convolution to 64 channels, residual blocks of 128, 256 and 128, a convolution.

    Args:
        tapered: ``False`` is Table 1 as printed (1.631 M parameters for 6 input channels and 3 output
            channels). ``True`` is what the authors' code builds (1.748 M): a fourth block brings the
            channels back to 64, and a batch norm stands before the last convolution.

    Source: Jiang et al. 2021, Table 1, and its public code.
    """

    tapered: bool = False

    def __call__(self, in_channels: int, out_channels: int) -> nn.Module:
        """Return the network, without the final tanh, which is the rule's.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
        """
        layers: list[nn.Module] = [
            normalised(nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)),
            ResidualBlock(64, 128),
            ResidualBlock(128, 256),
            ResidualBlock(256, 128),
        ]
        if self.tapered:
            layers += [ResidualBlock(128, 64), nn.BatchNorm2d(64, affine=False)]
        return nn.Sequential(*layers, nn.Conv2d(64 if self.tapered else 128, out_channels, 3, padding=1))
