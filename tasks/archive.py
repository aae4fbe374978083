"""Files out of a tar archive, all or none."""

from __future__ import annotations

import shutil
import tarfile
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tasks.data_error import DataError


def unpack(archive: Path, names: Sequence[str], into: Path) -> None:
    """Unpack the files ``names`` of a tar archive into a new folder.

    They are unpacked into a temporary folder beside it, which gets its name when it is complete: a stop at any moment
    leaves no half of it. Folders within the archive do not count, and nothing else of it is unpacked.

    Args:
        archive: the archive, packed by gzip or not.
        names: the files' names.
        into: the folder. If somebody else has made it meanwhile, theirs stays.

    Raises:
        DataError: if the archive is damaged or does not hold the files, or they cannot be written.
    """
    temporary = into.with_name(f".{into.name}-{uuid.uuid4().hex}")
    try:
        temporary.mkdir()
        _extract(archive, set(names), temporary)
        if not into.is_dir():
            temporary.rename(into)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is None:  # gzip's, of a wrong checksum or of what is no gzip at all
            raise _damaged(archive, error) from error
        raise DataError(
            f"{archive} cannot be unpacked in {into.parent}: {error.strerror}. Make room there, or unpack it elsewhere "
            "(tar xf) and name that folder by data_dir (--data-dir)."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract(archive: Path, missing: set[str], folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:  # in one pass: to look at the list first would unpack everything twice
            name = PurePosixPath(member.name).name
            content = tar.extractfile(member) if member.isfile() and name in missing else None
            if content is not None:
                with content, (folder / name).open("xb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                missing.remove(name)
        # Only at its end does a packed file say whether all of it was right.
        while tar.fileobj is not None and tar.fileobj.read(1 << 20):
            pass
    if missing:
        raise DataError(f"{archive} holds no {', '.join(sorted(missing))}: is it another archive by that name?")


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(f"{archive} is damaged or no tar archive: {error}. Remove it and fetch it anew.")
