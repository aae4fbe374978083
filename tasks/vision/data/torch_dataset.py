"""Any data set of PyTorch's kind, held as the library holds images."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from bilevel.errors import ConfigurationError
from tasks.vision.data.images import Images


def images_from(dataset: Dataset[Any], *, name: str, classes: int | None = None, progress: bool = True) -> Images:
    """Return the images of a data set, gone through once.

    An item is a pair of an image and its class. The image is a tensor (c, h, w) or (h, w), or an array or a Pillow
    image (h, w) or (h, w, c); bytes from 0 to 255 or floats in [0, 1], which are rounded to such bytes. Random
    transformations are done once and then stay as they fell: leave them out, and augment the batches.

    Args:
        dataset: what has a length and gives an item for each index.
        name: what messages call it.
        classes: the number of classes; ``None`` is one more than the largest label.
        progress: whether a bar is drawn on a terminal.

    Returns:
        The images, with pixels from 0 to 255.

    Raises:
        ConfigurationError: if the data set has no length or no items, or an item is not such a pair or of another
            size than the first; the index is named.
    """
    if not isinstance(dataset, Sized) or not hasattr(dataset, "__getitem__"):
        raise ConfigurationError(
            f"{name} ({type(dataset).__name__}) has no length or no items by index; a map-style data set is needed."
        )
    if not len(dataset):
        raise ConfigurationError(f"{name} is empty.")
    console = Console(stderr=True)
    quiet = not (progress and console.is_terminal)
    pixels, labels = torch.empty(0, dtype=torch.uint8), torch.empty(len(dataset), dtype=torch.int64)
    # By index: to iterate over a data set without an end of its own would never end.
    for index in track(range(len(dataset)), f"reading {name}", console=console, disable=quiet, transient=True):
        where = f"item {index} of {name}"
        image, labels[index] = _pair(dataset[index], where, classes)
        if index == 0:
            pixels = torch.empty((len(dataset), *image.shape), dtype=torch.uint8)
        if image.shape != pixels.shape[1:]:
            raise ConfigurationError(
                f"The image of {where} is {_size(image)} (channels x height x width), the first one "
                f"{_size(pixels[0])}: bring them to one size first."
            )
        pixels[index] = image
    return Images(pixels, labels, int(labels.max()) + 1 if classes is None else classes, name)


def _pair(item: Any, where: str, classes: int | None) -> tuple[UInt8[Tensor, "c h w"], int]:
    """Return the pixels and the class of an item."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise ConfigurationError(f"{where} is no pair of an image and a class, but {type(item).__name__}.")
    image, label = item
    try:
        label = label.item() if isinstance(label, Tensor | np.ndarray | np.generic) else label
    except (RuntimeError, ValueError):
        label = "several numbers"
    if isinstance(label, bool) or not isinstance(label, int) or label < 0 or (classes is not None and label >= classes):
        allowed = "a whole number from 0" if classes is None else f"a whole number from 0 to {classes - 1}"
        raise ConfigurationError(f"The class of {where} must be {allowed}, got {label!r}.")
    return _bytes(_channels_first(image, where), where), label


def _channels_first(image: Any, where: str) -> Tensor:
    """Return an image as a tensor (c, h, w)."""
    if isinstance(image, Tensor):
        found = image
    else:
        try:
            # The pixels of a Pillow image with a palette are places in it.
            found = torch.from_numpy(np.array(image.convert("RGB") if getattr(image, "mode", "") == "P" else image))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The image of {where} is {type(image).__name__}, which is no image.") from error
        found = found.permute(2, 0, 1) if found.ndim == 3 else found
    found = found.unsqueeze(0) if found.ndim == 2 else found
    if found.ndim != 3 or 0 in found.shape:
        raise ConfigurationError(
            f"The image of {where} has the shape {tuple(found.shape)}; it must be (channels, height, width), or "
            "(height, width), or for arrays (height, width, channels)."
        )
    return found


def _bytes(image: Tensor, where: str) -> UInt8[Tensor, "c h w"]:
    """Return pixels from 0 to 255."""
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise ConfigurationError(f"The image of {where} is {image.dtype}; give bytes (uint8) or floats in [0, 1].")
    if not ((image >= 0) & (image <= 1)).all():
        raise ConfigurationError(
            f"The image of {where} has values from {image.min():g} to {image.max():g}; floats must lie in [0, 1]. "
            "Leave the normalisation by mean and std to the model."
        )
    return (image * 255).round().to(torch.uint8)


def _size(image: Tensor) -> str:
    return "x".join(map(str, image.shape))
