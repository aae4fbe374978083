"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from tasks.vision.networks.classifier import Classifier, check_sizes
from tasks.vision.networks.normalise import Normalise


@final
class BasicBlock(nn.Module):
    """A residual block of two 3 x 3 convolutions, with a projection where the shape changes.

    Args:
        before: channels of the input.
        width: channels of the output.
        stride: stride of the first convolution.
    """

    expansion: ClassVar[int] = 1

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = _projection(before, width, stride)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h2 w2"]:
        """Return the activated sum of the residual branch and the shortcut."""
        out = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        return functional.relu(self.norm2(self.conv2(out)) + self.shortcut(x), inplace=True)


@final
class Bottleneck(nn.Module):
    """A residual block of a 1 x 1, a 3 x 3 and a 1 x 1 convolution, the last to four times the width.

    Args:
        before: channels of the input.
        width: channels of the 3 x 3 convolution; the output has four times as many.
        stride: stride of the 3 x 3 convolution.
    """

    expansion: ClassVar[int] = 4

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = self.expansion * width
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(after)
        self.shortcut = _projection(before, after, stride)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h2 w2"]:
        """Return the activated sum of the residual branch and the shortcut."""
        out = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        out = functional.relu(self.norm2(self.conv2(out)), inplace=True)
        return functional.relu(self.norm3(self.conv3(out)) + self.shortcut(x), inplace=True)


_BLOCKS: Mapping[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]] = MappingProxyType({
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
})  # fmt: skip


def check_depth(depth: int) -> None:
    """Raise `ConfigurationError` unless there is a residual network of that depth."""
    if depth not in _BLOCKS:
        raise ConfigurationError(f"ResNet: depth must be one of {', '.join(map(str, _BLOCKS))}, got {depth}.")


@final
class ResNet(Classifier):
    """ResNet-d as it is used on images of 32 x 32: a 3 x 3 stem without pooling, then four groups of blocks.

    Args:
        depth: d, one of 18, 34 (blocks of two convolutions), 50, 101 and 152 (bottlenecks).
        channels: channels of an image.
        classes: number of classes.
        width: channels of the stem and of the first group; each further group has twice as many as the one before.
        normalise: what the images go through first, if anything.

    Raises:
        ConfigurationError: if there is none of that depth or another number is not positive.

    Source: He et al. 2016, with the stem of their networks for CIFAR-10. ResNet-18 has 11.17 M parameters there.
    """

    def __init__(
        self, depth: int = 18, channels: int = 3, classes: int = 10, *, width: int = 64,
        normalise: Normalise | None = None,
    ) -> None:  # fmt: skip
        super().__init__(normalise)
        check_depth(depth)
        check_sizes("ResNet", channels=channels, classes=classes, width=width)
        block, counts = _BLOCKS[depth]
        layers: list[nn.Module] = [*_unit(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        before = width
        for group, count in enumerate(counts):
            for i in range(count):
                layers.append(block(before, width << group, 2 if group and i == 0 else 1))
                before = block.expansion * (width << group)
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
        self.classify = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the last pooled features of images with values in [0, 1]."""
        return torch.flatten(self.features(self.normalise(x)), 1)


def _unit(before: int, after: int, kernel: int, **settings: Any) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, kernel, bias=False, **settings), nn.BatchNorm2d(after)


def _projection(before: int, after: int, stride: int) -> nn.Module:
    return nn.Identity() if before == after and stride == 1 else nn.Sequential(*_unit(before, after, 1, stride=stride))
