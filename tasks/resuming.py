"""A download that goes on where it was broken off."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from requests import Response

_CHUNK = 1 << 16  # bytes; of a broken transfer the last, incomplete chunk is lost
_TIMEOUT = (15.0, 60.0)  # seconds until there is a connection, and between two parts of the content
_PATIENCE = 3  # broken transfers in a row that brought nothing new


@final
class ResumingDownload:
    """A downloader for pooch that keeps what has come, and asks for the rest only.

    What has come stays in a file of its own until the transfer is complete. A server that cannot begin in the middle is
    asked for everything anew. Whether it is the right file is for pooch to check.

    Args:
        part: where the incomplete content is kept.
    """

    def __init__(self, part: Path) -> None:
        self.part = part

    def __call__(self, url: str, output_file: str | os.PathLike[str], pooch: Any, *, check_only: bool = False) -> None:
        """Download ``url`` to ``output_file``.

        Raises:
            requests.RequestException: if the server refuses, or the connection breaks time and again.
            OSError: if the content cannot be written.
        """
        import requests

        most, failures = self._size(), 0
        while True:
            try:
                self._transfer(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                failures = 0 if self._size() > most else failures + 1
                most = max(most, self._size())
                if failures == _PATIENCE:
                    raise
        self.part.replace(output_file)

    def _transfer(self, url: str) -> None:
        """Fetch what is missing."""
        import requests

        have = self._size()
        # Not packed on the way: the place in the file would mean nothing.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()  # more than the file has: it is another one
                raise requests.ConnectionError(f"the server has no more than {have} bytes")
            response.raise_for_status()
            if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                have = 0
            length = response.headers.get("Content-Length")
            self._require_room(None if length is None else int(length))
            # Some servers give a file's own packing out as one for the way, which would be undone.
            response.raw.headers.discard("Content-Encoding")
            self._write(response, url, have, None if length is None else have + int(length))

    def _write(self, response: Response, url: str, have: int, total: int | None) -> None:
        import requests
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with (
            self.part.open("ab" if have else "wb") as file,
            Progress(*columns, console=console, disable=not console.is_terminal) as bars,
        ):
            bar = bars.add_task(url.rsplit("/", 1)[-1], total=total, completed=have)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bars.advance(bar, len(chunk))
        if total is not None and (size := self._size()) != total:
            raise requests.ConnectionError(f"{size} of {total} bytes came")

    def _require_room(self, needed: int | None) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if needed is not None and needed > free:
            raise OSError(errno.ENOSPC, f"no space left: {needed:,} bytes are needed, {free:,} are free")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0
