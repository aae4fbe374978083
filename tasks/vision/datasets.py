"""The data sets and their augmentations by name."""

from __future__ import annotations

from pathlib import Path

from tasks.names import look_up
from tasks.vision.data import Augmentation, CropAndFlip, NoAugmentation, Split, limited
from tasks.vision.data.cifar import CIFAR10, CIFAR100
from tasks.vision.data.digits import Digits
from tasks.vision.data.folder import ImageFolder
from tasks.vision.data.mnist import Mnist
from tasks.vision.data.partition import first
from tasks.vision.data.source import Request, Source
from tasks.vision.data.svhn import Svhn

DATASETS: dict[str, Source] = {
    "digits": Digits(),
    "mnist": Mnist(),
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "svhn": Svhn(),
    "folder": ImageFolder(),
}
"""Sources by name. They read nothing before they are asked for their parts."""

AUGMENTATIONS: dict[str, Augmentation] = {
    "none": NoAugmentation(),
    "crop": CropAndFlip(flip=0.0),
    "crop-flip": CropAndFlip(),
}
"""Augmentations by name."""


def load(
    name: str,
    seed: int,
    *,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    train_images: int | None = None,
    validation_images: int | None = None,
    test_images: int | None = None,
) -> Split:
    """Return a data set in its parts. None of the test images is among the other two parts.

    Args:
        name: which data set.
        seed: what the held-out part, and the choice of fewer training images, depend on.
        data_dir: the folder with its files; ``None`` for the cache, into which they are downloaded.
        image_size: the side in pixels that the images of a folder are brought to.
        train_images: how many of the training images are learned from, each class in proportion; ``None`` for all.
        validation_images: how many training images are held out; ``None`` for a tenth (digits: a fifth).
        test_images: how many of the test images are kept, the first ones; ``None`` for all.

    Raises:
        ConfigurationError: if there is none of this name, listing the known, a number is out of range, or what it needs
            is not installed.
        DataError: if a file is missing, damaged or another one than its name says.
    """
    source = look_up(DATASETS, name, "data set")
    folder = None if data_dir is None else Path(data_dir).expanduser()
    request = Request(seed, folder=folder, validation=validation_images, size=image_size)
    parts = source.split(request)
    return Split(
        limited(parts.train, train_images, request.split_seed + 1), parts.validation, first(parts.test, test_images)
    )


def augmentation(name: str, augment: str | None) -> Augmentation:
    """Return the augmentation called ``augment``; for ``None`` the usual one of the data set ``name``.

    Raises:
        ConfigurationError: for an unknown name, listing the known.
    """
    if augment is None:
        return look_up(DATASETS, name, "data set").augmentation
    return look_up(AUGMENTATIONS, augment, "augmentation")
