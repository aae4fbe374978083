"""SVHN from its two MATLAB files."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.download import RemoteFile
from tasks.shelf import Shelf
from tasks.vision.data.augmentation import Augmentation, CropAndFlip
from tasks.vision.data.images import Images, Split
from tasks.vision.data.partition import hold_out
from tasks.vision.data.source import Request, Source

_CLASSES = 10
_ADDRESS = "http://ufldl.stanford.edu/housenumbers"

TRAIN = RemoteFile(
    f"{_ADDRESS}/train_32x32.mat",
    "sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
)
TEST = RemoteFile(
    f"{_ADDRESS}/test_32x32.mat",
    "sha256:cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
)


@final
@dataclass(frozen=True)
class Svhn(Source):
    """House numbers: 73,257 training and 26,032 test images of 32 x 32 coloured pixels, the digits 0 to 9.

    Each file holds ``X`` (32, 32, 3, n) and ``y`` (n, 1), where the digit 0 has the label 10. The third file, of easier
    images, is not used. Digits are not mirrored: the usual augmentation shifts them.

    Args:
        train: the file of the training part.
        test: the file of the test part.
        augmentation: the usual one.

    Source: Netzer et al. 2011, http://ufldl.stanford.edu/housenumbers.
    """

    train: RemoteFile = TRAIN
    test: RemoteFile = TEST
    augmentation: Augmentation = CropAndFlip(flip=0.0)  # noqa: RUF009 (frozen)

    def split(self, request: Request) -> Split:
        """Return the parts; a tenth of the training images is held out by default."""
        request.refuse_size("svhn")
        learn, test = self.read(request.folder)
        return Split(*hold_out(learn, request.validation, request.split_seed), test)

    def read(self, folder: Path | None) -> tuple[Images, Images]:
        """Return the images to learn from and those to test on, in the order of the files.

        Args:
            folder: where the files are; ``None`` for the cache, into which they are downloaded.

        Raises:
            DataError: if a file is missing, damaged or another one; it is named.
            ConfigurationError: if there is no such folder, or SciPy is not installed.
        """
        shelf = Shelf.of("svhn", folder)
        return _part(shelf.get(self.train)), _part(shelf.get(self.test))


def _part(path: Path) -> Images:
    arrays = _arrays(path)
    x, y = arrays.get("X"), arrays.get("y")
    if not isinstance(x, np.ndarray) or x.ndim != 4 or x.shape[:3] != (32, 32, 3) or x.dtype != np.uint8:
        raise DataError(f"{path} holds no images X of bytes (32, 32, 3, n) but {_describe(x)}: is it another file?")
    if not isinstance(y, np.ndarray) or y.size != x.shape[3] or y.dtype.kind not in "iuf":
        raise DataError(f"{path} holds no label for each of its {x.shape[3]} images: y is {_describe(y)}.")
    labels = y.reshape(-1)
    if not labels.size or not np.isin(labels, np.arange(1, _CLASSES + 1)).all():
        raise DataError(f"{path}: the labels must be 1 ... 10, of which 10 stands for the digit 0. Is it another file?")
    pixels = torch.from_numpy(np.ascontiguousarray(x.transpose(3, 2, 0, 1)))
    return Images(pixels, torch.from_numpy(labels.astype(np.int64)) % _CLASSES, _CLASSES, "svhn")


def _arrays(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise ConfigurationError("SVHN's files are read by SciPy: pip install 'bilevel[vision]'.") from error
    damage = (MatReadError, OSError, ValueError, TypeError, LookupError, NotImplementedError, EOFError, OverflowError,
              MemoryError, zlib.error, struct.error)  # fmt: skip
    try:
        found: dict[str, Any] = loadmat(path, variable_names=["X", "y"])
    except damage as error:
        raise DataError(f"{path} is no MATLAB file, or damaged: {error}. Fetch it anew.") from error
    return found


def _describe(found: Any) -> str:
    return f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else "nothing"
