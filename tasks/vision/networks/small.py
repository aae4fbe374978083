"""A small convolutional classifier."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasks.vision.networks.classifier import Classifier, check_sizes
from tasks.vision.networks.normalise import Normalise


@final
class SmallConvNet(Classifier):
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
        super().__init__(normalise)
        check_sizes("SmallConvNet", channels=channels, classes=classes, width=width)
        self.features = nn.Sequential(
            *_unit(channels, width),
            *_unit(width, 2 * width, stride=2),
            *_unit(2 * width, 2 * width),
        )
        self.classify = nn.Linear(2 * width * 4 * 4, classes)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the last pooled features of images with values in [0, 1]."""
        features = self.features(self.normalise(x))
        if features.shape[-2:] != (4, 4):  # pooling what has that size already would cost as much as a convolution
            features = functional.adaptive_avg_pool2d(features, 4)
        return torch.flatten(features, 1)


def _unit(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)
