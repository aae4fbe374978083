"""A network for small images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.learned.block import normalised
from bilevel.learned.skip import SkipToLast


@final
@dataclass(frozen=True)
class Small:
    """Some 3 x 3 convolutions with batch norm and ReLU, and a last one: 2 801 parameters for 2 channels in, 1 out.

    Args:
        width: channels between the convolutions.
        depth: how many convolutions there are before the last.
        skip: whether the last convolution sees the input again, beside the features.
        zero_last: whether the last convolution starts at zero, so that the first update is zero.

    Raises:
        ConfigurationError: if ``width`` or ``depth`` is not positive.
    """

    width: int = 16
    depth: int = 2
    skip: bool = False
    zero_last: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigurationError(f"Small's width is {self.width}; it must be at least 1")
        if self.depth < 1:
            raise ConfigurationError(f"Small's depth is {self.depth}; it must be at least 1")

    def __call__(self, in_channels: int, out_channels: int) -> nn.Module:
        """Return the network, without the final tanh, which is the rule's.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
        """
        before = [in_channels, *[self.width] * (self.depth - 1)]
        body = nn.Sequential(
            *(normalised(nn.Conv2d(channels, self.width, 3, padding=1, bias=False)) for channels in before)
        )
        last = nn.Conv2d(self.width + in_channels * self.skip, out_channels, 3, padding=1)
        if self.zero_last:
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
        return SkipToLast(body, last) if self.skip else nn.Sequential(body, last)
