"""MNIST from its four files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from tasks.data_error import DataError
from tasks.download import RemoteFile
from tasks.idx import read_idx
from tasks.shelf import Shelf
from tasks.vision.data.augmentation import Augmentation, NoAugmentation
from tasks.vision.data.images import Images, Split
from tasks.vision.data.partition import hold_out
from tasks.vision.data.source import Request, Source

_CLASSES = 10
_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"


@final
@dataclass(frozen=True)
class PartFiles:
    """The files of the training or of the test part."""

    images: RemoteFile
    labels: RemoteFile


TRAIN = PartFiles(
    RemoteFile(
        f"{_MIRROR}/train-images-idx3-ubyte.gz",
        "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    RemoteFile(
        f"{_MIRROR}/train-labels-idx1-ubyte.gz",
        "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
)
TEST = PartFiles(
    RemoteFile(
        f"{_MIRROR}/t10k-images-idx3-ubyte.gz",
        "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    RemoteFile(
        f"{_MIRROR}/t10k-labels-idx1-ubyte.gz",
        "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


@final
@dataclass(frozen=True)
class Mnist(Source):
    """Handwritten digits: 60,000 training and 10,000 test images of 28 x 28 grey pixels, 10 classes.

    The files are the official ones in the idx format, packed by gzip or not.

    Args:
        train: the files of the training part.
        test: the files of the test part.
        augmentation: the usual one.

    Source: LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist.
    """

    train: PartFiles = TRAIN
    test: PartFiles = TEST
    augmentation: Augmentation = NoAugmentation()  # noqa: RUF009 (frozen)

    def split(self, request: Request) -> Split:
        """Return the parts; a tenth of the training images is held out by default."""
        request.refuse_size("mnist")
        learn, test = self.read(request.folder)
        return Split(*hold_out(learn, request.validation, request.split_seed), test)

    def read(self, folder: Path | None) -> tuple[Images, Images]:
        """Return the images to learn from and those to test on, in the order of the files.

        Args:
            folder: where the files are; ``None`` for the cache, into which they are downloaded.

        Raises:
            DataError: if a file is missing, damaged or another one; it is named.
            ConfigurationError: if there is no such folder.
        """
        shelf = Shelf.of("mnist", folder)
        learn, test = _part(shelf, self.train), _part(shelf, self.test)
        sizes = ["x".join(map(str, images.pixels.shape[2:])) for images in (learn, test)]
        if len(set(sizes)) > 1:
            raise DataError(
                f"{shelf.folders[0]}: training images are {sizes[0]} and test images {sizes[1]}; they do not belong "
                "together."
            )
        return learn, test


def _part(shelf: Shelf, files: PartFiles) -> Images:
    of_images, of_labels = (shelf.get(remote, *_other_names(remote.name)) for remote in (files.images, files.labels))
    pixels, labels = read_idx(of_images, dimensions=3), read_idx(of_labels, dimensions=1).long()
    if len(pixels) != len(labels):
        raise DataError(
            f"{of_images} holds {len(pixels)} images, {of_labels} {len(labels)} labels: they do not belong."
        )
    if not len(labels):
        raise DataError(f"{of_images} holds no image.")
    if int(labels.max()) >= _CLASSES:
        raise DataError(
            f"{of_labels} holds the label {int(labels.max())}; MNIST's are 0 ... 9. Is it another data set?"
        )
    return Images(pixels.unsqueeze(1), labels, classes=_CLASSES, name="mnist")


def _other_names(name: str) -> list[str]:
    """Return the names that a file has when it is unpacked, and that some copies have."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return [plain, dotted, f"{dotted}.gz"]
