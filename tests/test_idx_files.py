"""Idx files, whole and damaged."""

from __future__ import annotations

import gzip
import struct

import pytest
import torch

from tasks.data_error import DataError
from tasks.idx import read_idx


def idx(array, kind=0x08):
    header = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + bytes(array.flatten().tolist())


def written(tmp_path, content, name="values-idx-ubyte"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("shape", [(5,), (1,), (0,), (3, 4), (2, 3, 4), (7, 1, 1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_array_is_read_as_it_was_written(shape, pack, tmp_path):
    array = torch.randint(0, 256, shape, dtype=torch.uint8)
    found = read_idx(written(tmp_path, pack(idx(array))), dimensions=len(shape))
    assert found.dtype == torch.uint8
    assert torch.equal(found, array)


ARRAY = torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5)
GOOD = idx(ARRAY)


PACKED = gzip.compress(GOOD, mtime=0)
BAD = {
    "empty": (b"", "0 of 4 bytes"),
    "cut in the magic number": (GOOD[:3], "3 of 4 bytes"),
    "cut in the sizes": (GOOD[:10], "6 of 12 bytes"),
    "cut by a byte": (GOOD[:-1], "59 of 60 bytes"),
    "too long": (GOOD + b"x", "goes on behind its 3x4x5 values"),
    "of floats": (idx(ARRAY, kind=0x0D), "begins with 00000d03, not with 00000803"),
    "of two dimensions": (idx(ARRAY[0]), "begins with 00000802, not with 00000803"),
    "a page": (b"<!DOCTYPE html><html>Not found</html>", "no idx file"),
    "packed, without its end": (PACKED[:-9], "ended before"),
    "packed, half": (PACKED[:30], "ended before"),
    "packed, with a wrong checksum": (PACKED[:-8] + b"\0" * 8, "CRC check failed"),
    "packed, of a cut file": (gzip.compress(GOOD[:-7]), "53 of 60 bytes"),
    "packed by nobody": (b"\x1f\x8bnothing that gzip knows", "Unknown compression method"),
    "packed, with a wrong byte": (PACKED[:10] + b"\xff" + PACKED[11:], "invalid block type"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_or_foreign_file_is_named(case, tmp_path):
    content, message = BAD[case]
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, dimensions=3)
    assert str(path) in str(caught.value)


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path):
    path = written(tmp_path, struct.pack(">HBBIII", 0, 8, 3, 2**31, 2**31, 2**31) + b"few")
    with pytest.raises(DataError, match="3 of"):
        read_idx(path, dimensions=3)


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            read_idx(path, dimensions=1)
