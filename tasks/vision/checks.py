"""What is wrong with a data set, said before any work is done with it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.data import ImageBatch, Images


def check_batch(batch: ImageBatch, classes: int, name: str = "the batch") -> None:
    """Raise unless ``batch`` holds images with values in [0, 1] and one label for each.

    Args:
        batch: the images and labels.
        classes: how many classes there are.
        name: what the message calls them.

    Raises:
        ConfigurationError: naming what is wrong.
    """
    x, y = batch.x, batch.y
    _check_shapes(x, y, name)
    if not x.is_floating_point():
        raise ConfigurationError(
            f"The images of {name} are {x.dtype}; give floats in [0, 1] (pixels / 255), or hold them as Images."
        )
    if bad := int((~torch.isfinite(x)).flatten(1).any(1).sum()):
        raise ConfigurationError(f"{bad} of {len(x)} images of {name} hold NaN or infinity: clean or drop them.")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise ConfigurationError(
            f"The images of {name} have values from {low:g} to {high:g}; they must lie in [0, 1]. Scale them "
            "(pixels / 255), and leave the normalisation by mean and std to the model."
        )
    _check_labels(y, classes, name)


@final
class FirstBatch:
    """Checks a batch, and the logits for it, the first time that it is called."""

    def __init__(self) -> None:
        self._done = False

    def __call__(self, batch: ImageBatch, logits: Tensor) -> None:
        """Raise `ConfigurationError` if something is wrong with the first batch, and do nothing later."""
        if self._done:
            return
        if logits.ndim != 2 or len(logits) != len(batch.x):
            raise ConfigurationError(
                f"The classifier must return logits (n, classes) for {len(batch.x)} images, got shape "
                f"{tuple(logits.shape)}."
            )
        check_batch(batch, logits.shape[1])
        self._done = True


def check_images(images: Images) -> None:
    """Raise unless ``images`` holds pixels up to its number of levels and one label for each image.

    Raises:
        ConfigurationError: naming what is wrong.
    """
    _check_shapes(images.pixels, images.labels, images.name)
    if images.pixels.dtype != torch.uint8:
        raise ConfigurationError(
            f"The pixels of {images.name} are {images.pixels.dtype}; Images holds them as uint8, as digitised."
        )
    if not 1 <= images.levels <= 255:
        raise ConfigurationError(f"levels is the largest pixel value, from 1 to 255, got {images.levels}.")
    if (high := int(images.pixels.max())) > images.levels:
        raise ConfigurationError(
            f"The pixels of {images.name} go up to {high}, beyond levels = {images.levels}, which stands for 1: the "
            "images would leave [0, 1]."
        )
    _check_labels(images.labels, images.classes, images.name)


def check_training(images: Images, batch_size: int, model: nn.Module, processes: int = 1) -> None:
    """Raise unless ``model`` can learn from ``images`` in batches of ``batch_size``, shared by ``processes``.

    A last batch of one image has no statistics to speak of, so that a model with batch norm is refused it.

    Raises:
        ConfigurationError: naming what is wrong.
    """
    check_images(images)
    if images.classes < 2:
        raise ConfigurationError(f"{images.name} has {images.classes} class, and at least two are told apart.")
    if not 1 <= batch_size <= len(images):
        raise ConfigurationError(
            f"The batch size is {batch_size}, but {images.name} has {len(images)} images to learn from: choose one "
            f"from 1 to {len(images)}."
        )
    last = (len(images) % batch_size or batch_size) // processes
    if last == 1 and any(getattr(layer, "track_running_stats", False) for layer in model.modules()):
        shared = f" in {processes} processes" if processes > 1 else ""
        raise ConfigurationError(
            f"With {len(images)} images and a batch size of {batch_size}{shared} there are batches of a single image, "
            "of which batch norm cannot take statistics: choose another batch size, such as "
            f"{_without_remainder(len(images), processes)}."
        )


def _without_remainder(images: int, processes: int) -> int:
    """Return a batch size near 64 that leaves no process a last batch of one image."""
    whole = range(2 * processes, images + 1, processes)
    sizes = [size for size in whole if (images % size or size) // processes != 1]
    return min(sizes, key=lambda size: abs(size - 64))


def _check_shapes(x: Tensor, y: Tensor, name: str) -> None:
    if x.ndim != 4 or 0 in x.shape:
        raise ConfigurationError(
            f"The images of {name} have the shape {tuple(x.shape)}; it must be (images, channels, height, width), with "
            "none of them 0. Grey images have 1 channel: x.unsqueeze(1)."
        )
    if y.shape != x.shape[:1]:
        raise ConfigurationError(
            f"{name} has {len(x)} images and labels of shape {tuple(y.shape)}; it must have one class number for each "
            f"image, shape ({len(x)},)."
        )


def _check_labels(y: Tensor, classes: int, name: str) -> None:
    if y.dtype != torch.int64:
        raise ConfigurationError(f"The labels of {name} are {y.dtype}; they must be int64: y.long().")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise ConfigurationError(
            f"The labels of {name} go from {low} to {high}; with {classes} classes they must be in 0 ... {classes - 1}."
        )
