"""A folder of images, with a folder for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import track
from torch import Tensor

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.vision.data.augmentation import Augmentation, NoAugmentation
from tasks.vision.data.images import Images, Split
from tasks.vision.data.partition import hold_out
from tasks.vision.data.source import Request, Source

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = {"1", "L"}
_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


@final
@dataclass(frozen=True)
class ImageFolder(Source):
    """Images in a folder for each class, in ``train/`` and ``test/`` or, if there is no ``train/``, at once.

    Classes are numbered in the alphabetic order of their folders, in which images may lie at any depth; names that
    begin with a dot do not count. Where there is no ``test/``, a fifth of the images is set aside for the test.

    Args:
        augmentation: the usual one.
    """

    augmentation: Augmentation = NoAugmentation()  # noqa: RUF009 (frozen)

    def split(self, request: Request) -> Split:
        """Return the parts; a tenth of the training images is held out by default.

        Raises:
            ConfigurationError: if no folder was named or it is not there, or Pillow is not installed.
            DataError: if there are no classes, a class is empty, or a file is no image or of another size; it is named.
        """
        root = request.folder
        if root is None or not root.is_dir():
            what = "No folder was named" if root is None else f"There is no folder {root}"
            raise ConfigurationError(f"{what}: name the one with the classes' folders by data_dir (--data-dir).")
        learn, test = _parts(root, request)
        # Files come class by class; the first of them, where fewer are wanted, shall be of all classes.
        mixed = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
        return Split(*hold_out(learn, request.validation, request.split_seed), test.subset(mixed))


def read_folder(folder: Path, *, size: int | None = None, progress: bool = True) -> Images:
    """Return the images of a folder that has a folder for each class.

    Images are grey if all of them are, else of three colours; transparency is dropped.

    Args:
        folder: the folder.
        size: the side in pixels that all images are brought to: scaled until they cover such a square, and cut to its
            middle. ``None`` wants them to be of one size.
        progress: whether a bar is drawn on a terminal.

    Raises:
        ConfigurationError: if Pillow is not installed, or ``size`` is below 1.
        DataError: if there are no classes, a class is empty, or a file is no image or of another size; it is named.
    """
    if size is not None and size < 1:
        raise ConfigurationError(f"image_size is a number of pixels, at least 1; got {size}.")
    names, files = _files(folder)
    console = Console(stderr=True)
    quiet = not (progress and console.is_terminal)
    pixels, all_grey = torch.empty(0, dtype=torch.uint8), True
    shown = track(files, f"reading {folder.name}", console=console, disable=quiet, transient=True)
    for index, (path, _) in enumerate(shown):
        image, grey = _read(path, size)
        if index == 0:
            pixels = torch.empty((len(files), *image.shape), dtype=torch.uint8)
        if image.shape != pixels.shape[1:]:
            (_, height, width), (_, first_height, first_width) = image.shape, pixels.shape[1:]
            raise DataError(
                f"{path} is {width}x{height}, {files[0][0]} is {first_width}x{first_height}: name the size that all "
                "are to be brought to by image_size."
            )
        pixels[index] = image
        all_grey &= grey
    labels = torch.tensor([label for _, label in files])
    if all_grey:
        pixels = pixels[:, :1].clone()
    return Images(pixels, labels, len(names), folder.resolve().name, class_names=tuple(names))


def _parts(root: Path, request: Request) -> tuple[Images, Images]:
    """Return the images to learn from and those to test on."""
    folders = set(_folders(root))
    if not folders & {"train", "test"}:
        learn = read_folder(root, size=request.size)
        return hold_out(learn, None, request.split_seed, share=0.2)
    if "train" not in folders or folders - {"train", "test"}:
        raise DataError(
            f"{root} holds {', '.join(sorted(folders))}: it must hold train and test with a folder for each class in "
            "them, or train alone, or folders for classes that are called otherwise."
        )
    learn = replace(read_folder(root / "train", size=request.size), name=root.resolve().name)
    if "test" not in folders:
        return hold_out(learn, None, request.split_seed, share=0.2)
    test = replace(read_folder(root / "test", size=request.size), name=learn.name)
    _require_same_kind(learn, test, root)
    return learn, test


def _folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, without those that begin with a dot."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """Return the classes' names, and the files with the number of their class."""
    names = _folders(folder)
    if len(names) < 2:
        raise DataError(
            f"{folder} has {'one class' if names else 'no classes'}: put the images of each class, of at least two, "
            "into a folder of its own there."
        )
    files: list[tuple[Path, int]] = []
    for label, name in enumerate(names):
        found = [
            path
            for path in sorted((folder / name).rglob("*"))
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ]
        if not found:
            raise DataError(f"The class {folder / name} is empty: put images there, or remove it.")
        files += [(path, label) for path in found]
    return names, files


def _read(path: Path, size: int | None) -> tuple[UInt8[Tensor, "3 h w"], bool]:
    """Return the pixels of an image file, and whether it is grey."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ConfigurationError("Images are read by Pillow: pip install 'bilevel[vision]'.") from error
    try:
        with Image.open(path) as found:
            mode = found.mode
            image: Image.Image = found.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no image, or damaged: {error}. Mend or remove it.") from error
    if mode not in _EIGHT_BITS:
        raise DataError(f"{path} has pixels of the kind {mode}, not of 8 bits: convert it to 8 bits first.")
    if size is not None:
        image = ImageOps.fit(image, (size, size))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1), mode in _GREY


def _require_same_kind(learn: Images, test: Images, root: Path) -> None:
    """Raise `DataError` unless both parts have the same classes, and images of the same kind."""
    if learn.class_names != test.class_names:
        known, found = set(learn.class_names or ()), set(test.class_names or ())
        raise DataError(
            f"{root}/train and {root}/test must have the same classes: {', '.join(sorted(known ^ found))} are in one "
            "of them only."
        )
    if learn.pixels.shape[1:] != test.pixels.shape[1:]:
        sizes = ["x".join(map(str, images.pixels.shape[1:])) for images in (learn, test)]
        raise DataError(
            f"The images of {root}/train are {sizes[0]} and those of {root}/test {sizes[1]} (channels x height x "
            "width): name one size by image_size, and colour all or none."
        )
