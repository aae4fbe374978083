"""The parts that the papers' convolutional networks share."""

from __future__ import annotations

import math
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

NORM_EPS = 1e-3
"""The batch norm's epsilon after plain convolutions, as in the authors' code."""


@final
class ResidualBlock(nn.Module):
    r"""The pre-activation residual block of a GAN's generator.

    $$\mathrm{conv}_3(\sigma(\mathrm{BN}(\mathrm{conv}_3(\sigma(\mathrm{BN}(x)))))) + \mathrm{shortcut}(x)$$

    with batch norms without learned scale or shift, PReLUs whose slope all channels share, biased 3 x 3
    convolutions, and a 1 x 1 convolution as the shortcut where the number of channels changes.

    Args:
        in_channels: channels of the input.
        out_channels: channels between the convolutions and of the output.

    Source: Miyato et al. 2018 (spectral normalization), generator; Jiang et al., ICLR 2020 submission, Fig. 7.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        second = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels, affine=False),
            nn.PReLU(),
            first,
            nn.BatchNorm2d(out_channels, affine=False),
            nn.PReLU(),
            second,
        )
        self.shortcut: nn.Module = nn.Identity()
        nn.init.xavier_uniform_(first.weight, gain=math.sqrt(2))
        nn.init.xavier_uniform_(second.weight, gain=math.sqrt(2))
        if in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1)
            nn.init.xavier_uniform_(projection.weight)
            self.shortcut = projection

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the residual branch plus the shortcut."""
        out: Tensor = self.residual(x) + self.shortcut(x)
        return out


def normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    """Return ``convolution`` followed by batch norm and ReLU."""
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels, eps=NORM_EPS), nn.ReLU(inplace=True))
