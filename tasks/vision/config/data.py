"""What is learned from."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision.config.group import SettingsGroup
from tasks.vision.datasets import AUGMENTATIONS, DATASETS


@dataclass(frozen=True)
class DataSettings(SettingsGroup):
    """The data set, its parts, and the seed of its split."""

    data: str = "digits"
    """The data set: digits (of scikit-learn; no files), mnist, cifar10, cifar100, svhn or folder (your own images, a
    folder for each class)."""

    data_dir: str | None = None
    """The folder with the data set's files, unpacked or as archives; None: the folder that the environment variable
    BILEVEL_DATA names, or the usual cache, into which they are downloaded."""

    augment: str | None = None
    """How training images are moved at random: none, crop (shifted by up to 4 pixels) or crop-flip (mirrored too);
    None: as is usual for the data set (cifar10, cifar100: crop-flip; svhn: crop; others: none)."""

    train_images: int | None = None
    """How many images are learned from, each class in proportion; None: all."""

    validation_images: int | None = None
    """How many of the training images are held out, to choose by; None: a tenth (digits: a fifth)."""

    test_images: int | None = None
    """How many of the test images are kept, the first ones, where a CPU has to attack them; None: all."""

    image_size: int | None = None
    """With the data set folder: the side in pixels that all images are brought to; None: they have one size."""

    seed: int = 0
    """What the split of the data, the first weights, the order of the images and the random starts depend on."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(DATASETS, self.data, "data set")
        if self.augment is not None:
            look_up(AUGMENTATIONS, self.augment, "augmentation")
        self.check_positive("train_images", "validation_images", "test_images", "image_size")
        if not 0 <= self.seed < 2**63:
            raise ConfigurationError(f"seed must be at least 0 and below 2**63, got {self.seed}.")
