"""CIFAR-10 and CIFAR-100 from their binary archives."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch

from tasks.archive import unpack
from tasks.data_error import DataError, DataWarning
from tasks.download import RemoteFile
from tasks.shelf import Shelf
from tasks.vision.data.augmentation import Augmentation, CropAndFlip
from tasks.vision.data.images import Images, Split
from tasks.vision.data.partition import hold_out
from tasks.vision.data.source import Request, Source

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


@final
@dataclass(frozen=True)
class Cifar(Source):
    """Photographs: 50,000 training and 10,000 test images of 32 x 32 coloured pixels.

    A file is a row of records, each of some bytes of labels, of which the last one counts, and the pixels: all red
    ones, all green ones, all blue ones, row by row. (The archives of pickles are not read: a pickle runs what its
    maker wants.)

    Args:
        name: the data set's name.
        archive: the official archive.
        folder: the folder that it unpacks to.
        train: the files with the training images.
        test: the file with the test images.
        label_bytes: how many labels stand before each image; the last one is the class.
        classes: the number of classes.
        class_names: what they are called, if known.
        counts: the official numbers of training and test images.
        augmentation: the usual one.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    name: str
    archive: RemoteFile
    folder: str
    train: tuple[str, ...]
    test: str
    label_bytes: int
    classes: int
    class_names: tuple[str, ...] | None = None
    counts: tuple[int, int] = (50_000, 10_000)
    augmentation: Augmentation = CropAndFlip()  # noqa: RUF009 (frozen)

    def split(self, request: Request) -> Split:
        """Return the parts; a tenth of the training images is held out by default."""
        request.refuse_size(self.name)
        learn, test = self.read(request.folder)
        return Split(*hold_out(learn, request.validation, request.split_seed), test)

    def read(self, folder: Path | None) -> tuple[Images, Images]:
        """Return the images to learn from and those to test on, in the order of the files.

        Files with fewer or more images than the official ones are read, with a warning.

        Args:
            folder: where the unpacked files or the archive are, or the archive itself; ``None`` for the cache, into
                which it is downloaded.

        Raises:
            DataError: if a file is missing, damaged or another one; it is named.
            ConfigurationError: if there is no such folder.
        """
        place = self._unpacked(folder)
        learn = self._part([place / name for name in self.train])
        test = self._part([place / self.test])
        if (found := (len(learn), len(test))) != self.counts:
            warnings.warn(
                f"{place} holds {found[0]} training and {found[1]} test images; {self.name} has {self.counts[0]} and "
                f"{self.counts[1]}. Results on a part of a data set are not those on the whole.",
                DataWarning,
                stacklevel=2,
            )
        return learn, test

    def _unpacked(self, folder: Path | None) -> Path:
        """Return the folder with the files, unpacking the archive if need be."""
        if folder is not None and folder.is_file():
            archive, into = folder, folder.with_name(self.folder)
            if into.is_dir():
                return into
        else:
            shelf = Shelf.of(self.name, folder)
            if found := shelf.find(f"{self.folder}/{self.test}", self.test):
                return found.parent
            archive = shelf.get(self.archive, f"{self.folder}/{self.test}")
            into = archive.with_name(self.folder)
        unpack(archive, [*self.train, self.test], into)
        return into

    def _part(self, paths: list[Path]) -> Images:
        """Return the images of some files."""
        record = self.label_bytes + _PIXELS
        counts = [_count(path, record) for path in paths]
        pixels = torch.empty((sum(counts), *_SHAPE), dtype=torch.uint8)
        labels = torch.empty(sum(counts), dtype=torch.int64)
        begin = 0
        for path, count in zip(paths, counts, strict=True):
            records = torch.from_numpy(np.fromfile(path, np.uint8, count * record)).view(count, record)
            part = slice(begin, begin + count)
            labels[part] = records[:, self.label_bytes - 1]
            pixels[part].flatten(1).copy_(records[:, self.label_bytes :])
            if (high := int(labels[part].max())) >= self.classes:
                raise DataError(
                    f"{path} holds the label {high}; those of {self.name} are 0 ... {self.classes - 1}. Is it another "
                    "data set, or damaged?"
                )
            begin += count
        return Images(pixels, labels, self.classes, self.name, class_names=self.class_names)


def _count(path: Path, record: int) -> int:
    """Return how many records a file holds."""
    if not path.is_file():
        raise DataError(f"{path} is missing, though others of its data set are there. Fetch it anew.")
    size = path.stat().st_size
    if size == 0 or size % record:
        raise DataError(
            f"{path} has {size} bytes, which is no whole number of records of {record} bytes: it was cut off, or it is "
            "another file by that name. Fetch it anew."
        )
    return size // record


CIFAR10 = Cifar(
    name="cifar10",
    archive=RemoteFile(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    label_bytes=1,
    classes=10,
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
"""CIFAR-10."""

CIFAR100 = replace(
    CIFAR10,
    name="cifar100",
    archive=RemoteFile(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
    folder="cifar-100-binary",
    train=("train.bin",),
    test="test.bin",
    label_bytes=2,
    classes=100,
    class_names=None,
)
"""CIFAR-100 with its 100 fine classes; the coarse label stands before the fine one."""
