"""Where the files of a data set are looked for, and where they are downloaded to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.download import RemoteFile, download

FOLDER_VARIABLE: Final = "BILEVEL_DATA"
"""The environment variable that names the folder of all data sets."""


@final
@dataclass(frozen=True)
class Shelf:
    """The folders in which a data set's files may be.

    Attributes:
        folders: where files are looked for, in this order.
        downloads: where missing files are downloaded to; ``None`` if the user named a folder, which is left as it is.
    """

    folders: tuple[Path, ...]
    downloads: Path | None

    @classmethod
    def of(cls, name: str, given: Path | None) -> Shelf:
        """Return the shelf of the data set ``name``.

        Args:
            name: the data set's name, and that of its folder among others.
            given: the folder that the user named; ``None`` for ``$BILEVEL_DATA`` or, if that is not set, the usual
                place for cached files of the operating system.

        Raises:
            ConfigurationError: if the folder that was named is not there, or pooch is not installed.
        """
        if given is not None:
            if not given.is_dir():
                raise ConfigurationError(
                    f"There is no folder {given}, which was named as data_dir (--data-dir). Leave that out to have "
                    f"{name} downloaded."
                )
            return cls((given, given / name), None)
        root = data_home()
        return cls((root / name, root), root / name)

    def find(self, *names: str) -> Path | None:
        """Return the first of ``names`` that is there."""
        found = (folder / name for folder in self.folders for name in names)
        return next((path for path in found if path.exists()), None)

    def get(self, remote: RemoteFile, *others: str) -> Path:
        """Return where a file is; if it is nowhere, download it, unless the user named a folder.

        Args:
            remote: the file.
            others: other names by which it may be there, which are preferred.

        Raises:
            DataError: if it is not there and may not, or could not, be downloaded.
            ConfigurationError: if pooch is not installed.
        """
        found = self.find(*others, remote.name)
        if found is not None:
            return found
        if self.downloads is None:
            names = " nor ".join([remote.name, *others])
            raise DataError(
                f"{self.folders[0]} holds no {names}. Fetch {remote.url} and put it there, or leave data_dir "
                "(--data-dir) out to have it downloaded."
            )
        return download(remote, self.downloads)


def data_home() -> Path:
    """Return the folder of all data sets: ``$BILEVEL_DATA``, else the operating system's place for cached files.

    Raises:
        ConfigurationError: if pooch is not installed, and the variable is not set.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    try:
        import pooch
    except ImportError as error:
        raise ConfigurationError(
            f"Data sets are downloaded and cached by pooch: pip install 'bilevel[vision]', or say where they are by "
            f"data_dir or by the environment variable {FOLDER_VARIABLE}."
        ) from error
    return Path(pooch.os_cache("bilevel"))
