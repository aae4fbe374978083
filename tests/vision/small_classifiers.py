"""Classifiers about which everything is known, for the tests of attacks and evaluation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tasks.vision.data import Images


class TwoClasses(nn.Module):
    """Logits (0, w·x + b): the image is of class 1 where w·x + b > 0.

    The strongest attack within eps is known: each pixel goes by eps against the label's side, or to the border of
    [0, 1], and w·x moves by the sum of |w_i| times these ways.
    """

    def __init__(self, w: Tensor, b: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(w)
        self.b = nn.Parameter(torch.tensor(b, dtype=w.dtype))

    def forward(self, x: Tensor) -> Tensor:
        score = (x.to(self.w.dtype) * self.w).sum((1, 2, 3)) + self.b
        return torch.stack([torch.zeros_like(score), score], 1)

    def strongest(self, x: Tensor, y: Tensor, eps: float) -> Tensor:
        side = (1 - 2 * y).to(x.dtype).view(-1, 1, 1, 1)
        return (x + eps * side * self.w.detach().sign()).clamp(0, 1)

    def lead(self, x: Tensor, y: Tensor) -> Tensor:
        """Return by how much the label's logit leads."""
        return (2 * y - 1) * self(x)[:, 1].detach()


class Mixed(nn.Module):
    """A small network with batch norm and dropout, whose parts are in different modes and not all trained."""

    def __init__(self, channels: int = 1, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(6 * 16, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.norm(self.conv(x)).relu()).flatten(1))


class Counting(nn.Module):
    """Another classifier, and how many images went through it in each pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.model(x)


def two_class_images(model: TwoClasses, n: int = 60, wrong: int = 0) -> Images:
    """Return random images of 4 x 4 pixels with the labels that ``model`` gives them, but for the first ``wrong``."""
    draw = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (n, 1, 4, 4), generator=draw, dtype=torch.uint8)
    labels = model(pixels.float().div(255)).argmax(1)
    labels[:wrong] = 1 - labels[:wrong]
    return Images(pixels, labels, classes=2, name="two classes")


def two_classes(dtype: torch.dtype = torch.float64) -> TwoClasses:
    """Return a model whose score is 0 in the middle of the images."""
    w = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)
    return TwoClasses(w, b=-0.5 * w.sum().item())
