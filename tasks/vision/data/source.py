"""Where a data set comes from: the interface."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import final

from bilevel.errors import ConfigurationError
from tasks.vision.data.augmentation import Augmentation
from tasks.vision.data.images import Split


@final
@dataclass(frozen=True)
class Request:
    """What is asked of a source.

    Attributes:
        seed: what the division into parts depends on; at least 0 and below 2**63.
        folder: where the files are, or an archive of them; ``None`` for the cache, into which they are downloaded.
        validation: how many training images are held out; ``None`` for the source's usual number.
        size: the side in pixels to which images are brought; ``None`` leaves them as they are.
    """

    seed: int
    folder: Path | None = None
    validation: int | None = None
    size: int | None = None

    @property
    def split_seed(self) -> int:
        """The seed of the held-out part. The choice of fewer training images has the one above it."""
        return 2 * self.seed

    def refuse_size(self, name: str) -> None:
        """Raise `ConfigurationError` if a size is asked of a data set whose images have one."""
        if self.size is not None:
            raise ConfigurationError(
                f"The images of {name} have a size of their own: leave image_size out; it is for folders of images."
            )


class Source(abc.ABC):
    """A data set that can be asked for its parts. Making a source reads nothing."""

    augmentation: Augmentation
    """The usual augmentation of its training images."""

    @abc.abstractmethod
    def split(self, request: Request) -> Split:
        """Return the parts.

        Raises:
            ConfigurationError: if the request does not fit the data set.
            DataError: if a file is missing, damaged or another one than its name says.
        """
