"""The convolutional classifier of handwritten digits that adversarial training is usually tried on."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from tasks.vision.networks.classifier import Classifier, check_sizes
from tasks.vision.networks.normalise import Normalise


@final
class MNISTNet(Classifier):
    """Twice two 3 x 3 convolutions without padding and a max-pool, then three linear layers; no batch norm.

    The features are 4 x 4 for images of 28 x 28, as in MNIST; those of larger or smaller images (from 16 x 16 on) are
    pooled to that size.

    Args:
        channels: channels of an image.
        classes: number of classes.
        width: channels of the first two convolutions; the others have twice as many.
        normalise: what the images go through first, if anything.

    Raises:
        ConfigurationError: if a number is not positive.

    Source: Carlini and Wagner 2017, Table 1, with dropout between the linear layers as in TRADES (Zhang et al. 2019);
    312,202 parameters.
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, *, width: int = 32, normalise: Normalise | None = None
    ) -> None:
        super().__init__(normalise)
        check_sizes("MNISTNet", channels=channels, classes=classes, width=width)
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3), nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        )  # fmt: skip
        self.hidden = nn.Sequential(
            nn.Linear(2 * width * 4 * 4, 200), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(200, 200), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.classify = nn.Linear(200, classes)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return what enters the last linear layer, for images with values in [0, 1].

        Raises:
            ConfigurationError: if the images are smaller than 16 x 16, of which nothing is left.
        """
        if min(x.shape[-2:]) < 16:
            raise ConfigurationError(
                f"MNISTNet needs images of 16 x 16 at least, got {x.shape[-2]} x {x.shape[-1]}: use SmallConvNet."
            )
        features = self.features(self.normalise(x))
        if features.shape[-2:] != (4, 4):
            features = functional.adaptive_avg_pool2d(features, 4)
        hidden: Tensor = self.hidden(torch.flatten(features, 1))
        return hidden
