"""Pre-activation residual networks for small images."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.networks.classifier import Classifier, check_sizes
from tasks.vision.networks.normalise import Normalise
from tasks.vision.networks.wide_resnet import WideBlock

_COUNTS: Mapping[int, tuple[int, ...]] = MappingProxyType({18: (2, 2, 2, 2), 34: (3, 4, 6, 3)})


def check_depth(depth: int) -> None:
    """Raise `ConfigurationError` unless there is a pre-activation residual network of that depth."""
    if depth not in _COUNTS:
        raise ConfigurationError(f"PreActResNet: depth must be one of {', '.join(map(str, _COUNTS))}, got {depth}.")


@final
class PreActResNet(Classifier):
    """PreActResNet-d: a 3 x 3 stem, four groups of blocks with norm and ReLU before each convolution, norm and ReLU.

    The first block's input is not activated by the stem, as in the paper; the block itself does so.

    Args:
        depth: d, 18 or 34.
        channels: channels of an image.
        classes: number of classes.
        width: channels of the stem and of the first group; each further group has twice as many as the one before.
        normalise: what the images go through first, if anything.

    Raises:
        ConfigurationError: if there is none of that depth or another number is not positive.

    Source: He et al. 2016, "Identity mappings in deep residual networks". PreActResNet-18 (11.17 M parameters for
    CIFAR-10) is the usual network of studies of one-step adversarial training (Wong et al. 2020; Rice et al. 2020).
    """

    def __init__(
        self, depth: int = 18, channels: int = 3, classes: int = 10, *, width: int = 64,
        normalise: Normalise | None = None,
    ) -> None:  # fmt: skip
        super().__init__(normalise)
        check_depth(depth)
        check_sizes("PreActResNet", channels=channels, classes=classes, width=width)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
        before = width
        for group, count in enumerate(_COUNTS[depth]):
            after = width << group
            for i in range(count):
                layers.append(WideBlock(before, after, 2 if group and i == 0 else 1, dropout=0.0))
                before = after
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(before), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1))
        self.classify = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the last pooled features of images with values in [0, 1]."""
        return torch.flatten(self.features(self.normalise(x)), 1)
