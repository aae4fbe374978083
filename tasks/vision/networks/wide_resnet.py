"""Wide residual networks."""

from __future__ import annotations

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from tasks.vision.networks.classifier import Classifier, check_sizes
from tasks.vision.networks.normalise import Normalise


@final
class WideBlock(nn.Module):
    r"""A pre-activation residual block of two 3 x 3 convolutions.

    Where the shape changes, the shortcut is a 1 x 1 convolution of the activated input; elsewhere it is the input.

    Args:
        before: channels of the input.
        after: channels of the output.
        stride: stride of the first convolution.
        dropout: share of the features that are dropped between the convolutions.
    """

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.dropout: nn.Module = nn.Dropout(dropout) if dropout else nn.Identity()
        same = before == after and stride == 1
        self.shortcut = None if same else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h2 w2"]:
        """Return the residual branch plus the shortcut."""
        active = functional.relu(self.norm1(x), inplace=True)
        out = functional.relu(self.norm2(self.conv1(active)), inplace=True)
        out = self.conv2(self.dropout(out))
        short: Tensor = x if self.shortcut is None else self.shortcut(active)
        total: Tensor = out + short
        return total


def check_depth(depth: int) -> None:
    """Raise `ConfigurationError` unless there is a wide residual network of that depth."""
    if depth < 10 or (depth - 4) % 6:
        raise ConfigurationError(f"WideResNet: depth must be 10, 16, 22, 28, 34, ... (6n + 4), got {depth}.")


@final
class WideResNet(Classifier):
    """WRN-d-k: a convolution of 16 channels and three groups of blocks of 16k, 32k and 64k channels.

    Args:
        depth: d = 6n + 4, with n blocks a group, n >= 1.
        widen: k, at least 1.
        channels: channels of an image.
        classes: number of classes.
        dropout: share of the features that are dropped inside a block, in [0, 1).
        normalise: what the images go through first, if anything.

    Raises:
        ConfigurationError: if ``depth`` is no 6n + 4 or another number is out of range.

    Source: Zagoruyko and Komodakis 2016. WRN-34-10 (46.16 M parameters for CIFAR-10) is the classifier of Jiang et
    al. 2021; the one in their code holds another 2.10 M that no image passes through, which are left out here.
    """

    def __init__(
        self,
        depth: int = 34,
        widen: int = 10,
        channels: int = 3,
        classes: int = 10,
        *,
        dropout: float = 0.0,
        normalise: Normalise | None = None,
    ) -> None:
        super().__init__(normalise)
        check_depth(depth)
        check_sizes("WideResNet", widen=widen, channels=channels, classes=classes)
        if not 0 <= dropout < 1:
            raise ConfigurationError(f"WideResNet: dropout must be in [0, 1), got {dropout}.")
        widths = (16, 16 * widen, 32 * widen, 64 * widen)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)]
        for group, stride in enumerate((1, 2, 2)):
            before, after = widths[group], widths[group + 1]
            layers += [
                WideBlock(before if i == 0 else after, after, stride if i == 0 else 1, dropout)
                for i in range((depth - 4) // 6)
            ]
        self.features = nn.Sequential(
            *layers, nn.BatchNorm2d(widths[3]), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )
        self.classify = nn.Linear(widths[3], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        nn.init.zeros_(self.classify.bias)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the last pooled features of images with values in [0, 1]."""
        return torch.flatten(self.features(self.normalise(x)), 1)
