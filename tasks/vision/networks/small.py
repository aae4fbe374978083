"""A small convolutional classifier."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from tasks.vision.networks.normalise import Normalise


@final
class SmallConvNet(nn.Module):
    """Three 3 x 3 convolutions with batch norm and ReLU, the second of stride 2, and a linear layer.

    Any image size from 8 x 8 on will do: larger features are pooled to 4 x 4.

    Args:
        channels: channels of an image.
        classes: number of classes.
        width: channels of the first convolution; the others have twice as many.
        normalise: what the images go through first, if anything.

    Raises:
        ConfigurationError: if a number is not positive.
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, *, width: int = 32, normalise: Normalise | None = None
    ) -> None:
        super().__init__()
        if min(channels, classes, width) < 1:
            raise ConfigurationError(
                f"SmallConvNet: channels, classes and width must be at least 1, got {channels}, {classes} and {width}."
            )
        self.normalise = normalise or nn.Identity()
        self.features = nn.Sequential(
            *_unit(channels, width),
            *_unit(width, 2 * width, stride=2),
            *_unit(2 * width, 2 * width),
        )
        self.classify = nn.Linear(2 * width * 4 * 4, classes)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of images with values in [0, 1]."""
        features = self.features(self.normalise(x))
        if features.shape[-2:] != (4, 4):  # pooling what has that size already would cost as much as a convolution
            features = functional.adaptive_avg_pool2d(features, 4)
        logits: Tensor = self.classify(torch.flatten(features, 1))
        return logits


def _unit(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)
