"""Files in the idx format: arrays of bytes behind a header that says their shape, as MNIST has them."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from tasks.data_error import DataError

_UNSIGNED_BYTE = 0x08
_GZIP = b"\x1f\x8b"


def read_idx(path: Path, *, dimensions: int) -> UInt8[Tensor, "..."]:
    """Read an array of unsigned bytes from an idx file, compressed by gzip or not.

    The header is two zero bytes, the type (8 for unsigned bytes), the number of dimensions and the size of each as
    four bytes, the highest first.

    Args:
        path: the file.
        dimensions: how many dimensions the array must have: 1 for labels, 3 for grey images.

    Returns:
        The array.

    Raises:
        DataError: if the file cannot be read, is no such array, is shorter or longer than its header says, or fails
            gzip's check.
    """
    try:
        with _open(path) as file:
            zeros, kind, found = struct.unpack(">HBB", _exactly(file, 4, path))
            if (zeros, kind, found) != (0, _UNSIGNED_BYTE, dimensions):
                raise DataError(
                    f"{path} is no idx file of unsigned bytes in {dimensions} dimensions: it begins with "
                    f"{struct.pack('>HBB', zeros, kind, found).hex()}, not with {0x0800 + dimensions:08x}. Is it "
                    "another file by that name?"
                )
            shape = struct.unpack(f">{dimensions}I", _exactly(file, 4 * dimensions, path))
            content = _exactly(file, math.prod(shape), path)
            if file.read(1):
                raise DataError(f"{path} goes on behind its {'x'.join(map(str, shape))} values: it is damaged.")
    except OSError as error:  # among them gzip's of a wrong checksum
        raise DataError(f"{path} cannot be read: {error.strerror or error}. Is it whole?") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. Fetch it anew.") from error
    if not content:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8).reshape(shape)


def _open(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if compressed else path.open("rb")


def _exactly(file: io.BufferedIOBase, count: int, path: Path) -> bytearray:
    """Read ``count`` bytes; a header that lies asks for no more memory than the file fills."""
    content = bytearray()
    while len(content) < count:
        part = file.read(min(count - len(content), 1 << 20))
        if not part:
            raise DataError(f"{path} ends too early: {len(content)} of {count} bytes are there. Fetch it anew.")
        content += part
    return content
