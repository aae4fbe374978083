"""The usual normalisation of known data sets, and a measured one of others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from tasks.vision.data import Images
from tasks.vision.networks.normalise import Normalise

USUAL: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = MappingProxyType({
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
})  # fmt: skip
"""Mean and standard deviation of each channel over the whole training set, as they are usually given."""


def usual_normalisation(images: Images) -> Normalise:
    """Return the usual normalisation of a data set, or one by the mean and standard deviation of ``images``.

    Args:
        images: the training images; their name says whether the data set is a known one. A channel without any
            variation is shifted and not scaled.
    """
    known = USUAL.get(images.name.lower().replace("-", "").replace("_", ""))
    if known is not None and len(known[0]) == images.channels:
        return Normalise(*known)
    # In whole numbers, so that the result is the same on every device and in every order of the images.
    levels = torch.arange(256, dtype=torch.float64)
    mean, std = [], []
    for channel in images.pixels.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).cpu().double()
        center = (counts @ levels) / counts.sum()
        spread = (counts @ (levels - center).square() / counts.sum()).sqrt()
        mean.append(float(center) / images.levels)
        std.append(float(spread) / images.levels or 1.0)
    return Normalise(mean, std)
