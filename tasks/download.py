"""Files from the internet: verified by their checksum, and there either whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.resuming import ResumingDownload


@final
@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Attributes:
        url: where it is; the last part of the address is its name.
        checksum: ``sha256:`` or ``md5:`` and the sum in hexadecimal digits.
    """

    url: str
    checksum: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1]


def download(remote: RemoteFile, folder: Path) -> Path:
    """Download a file into a folder, which is made if need be, and return its path.

    A transfer that breaks off is resumed, now or by the next call. Of several processes one downloads and the others
    wait for it.

    Args:
        remote: the file.
        folder: where it goes.

    Raises:
        DataError: if it cannot be downloaded, is not what its checksum says, or cannot be written.
        ConfigurationError: if pooch is not installed.
    """
    try:
        import pooch
        import requests
        from filelock import FileLock
    except ImportError as error:
        raise ConfigurationError("Data sets are downloaded by pooch: pip install 'bilevel[vision]'.") from error
    path = folder / remote.name
    by_hand = f"fetch {remote.url} by hand and name its folder by data_dir (--data-dir)"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{remote.name}.lock"):
            if not path.is_file():  # another process may have been faster
                transfer = ResumingDownload(folder / f".{remote.name}.part")
                pooch.retrieve(remote.url, remote.checksum, remote.name, folder, downloader=transfer)
    except requests.RequestException as error:
        raise DataError(
            f"{remote.url} could not be downloaded: {error}. Run it again, which goes on where it stopped, or "
            f"{by_hand}."
        ) from error
    except ValueError as error:
        raise DataError(
            f"What came from {remote.url} is not the expected file ({remote.checksum}): {error} Run it again, or "
            f"{by_hand}."
        ) from error
    except OSError as error:
        raise DataError(
            f"{remote.name} cannot be kept in {folder}: {error.strerror or error}. Make room there, or name another "
            "folder by the environment variable BILEVEL_DATA."
        ) from error
    return path
