"""One checkpoint file: written atomically, and believed only if it is whole."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bilevel.errors import CheckpointError

FORMAT = "bilevel checkpoint"
VERSION = 1

_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class WriteError(CheckpointError):
    """A checkpoint could not be written.

    Attributes:
        needed: the size of the whole file, in bytes.
    """

    def __init__(self, reason: str, needed: int) -> None:
        super().__init__(reason)
        self.needed = needed


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` to ``path``, which holds either what it held before or all of it.

    Args:
        path: the file; its folder exists.
        state: tensors and plain Python values in dicts, lists and tuples.

    Raises:
        WriteError: if the file cannot be written or could not be read back; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    content = plain({"format": FORMAT, "version": VERSION, **state})
    try:
        _save(temporary, content)
        _require_plain(temporary)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _synchronise_folder(path.parent)


def read(path: str | Path) -> dict[str, Any]:
    """Return the state that `write` wrote, its tensors on the CPU.

    Raises:
        CheckpointError: if the file is damaged, cut short or none of ours; the message says which.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # compares every checksum; torch.load compares none
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged: the checksum of its part {damaged} is wrong.")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no checkpoint {path}.") from error
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} is damaged, cut short or no checkpoint: {_first_line(error)}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by bilevel.fit.")
    if state.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {state.get('version')}; this version of bilevel reads version {VERSION}."
        )
    return state


def size_of(tree: Any) -> int:
    """Return about how many bytes ``tree`` takes in a file."""
    if isinstance(tree, Tensor):
        return tree.nbytes + 256  # a header each, and the alignment of the data
    if isinstance(tree, Mapping):
        return 16 + sum(size_of(value) + len(str(key)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return 16 + sum(size_of(value) for value in tree)
    return 16


def plain(tree: Any) -> Any:
    """Return ``tree`` without what a safe reader refuses or a file need not hold.

    NumPy's scalars become Python's, dicts that make entries on demand become dicts, and a view of a part of a tensor
    becomes that part, since a file would hold the whole.
    """
    if isinstance(tree, Tensor):
        tree = tree.detach()
        return tree.clone() if tree.untyped_storage().nbytes() > tree.nbytes else tree
    if isinstance(tree, np.generic):
        return tree.item()
    if type(tree) in (list, tuple):
        return type(tree)(plain(value) for value in tree)
    if type(tree) in (dict, defaultdict, OrderedDict):
        kind = OrderedDict if type(tree) is OrderedDict else dict
        copy = kind((plain(key), plain(value)) for key, value in tree.items())
        if kind is OrderedDict:
            copy.__dict__.update(vars(tree))  # a module's state_dict has the versions of its parts there
        return copy
    return tree


class _Sink:
    """What torch.save writes to: after an error it only counts, so that the size of the whole is known."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.size += len(view)
        rest = view
        while self.error is None and len(rest):
            try:
                rest = rest[os.write(self.descriptor, rest) :]
            except OSError as error:  # raised later: torch's writer cannot be left halfway
                self.error = error
        return len(view)

    def flush(self) -> None:
        """Nothing is held back."""


def _save(path: Path, content: Any) -> None:
    size = size_of(content)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            sink = _Sink(descriptor)
            torch.save(content, sink)  # type: ignore[arg-type]  # it needs write and flush only
            size = sink.size
            if sink.error is not None:
                raise sink.error
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WriteError(error.strerror or str(error), size) from error
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise WriteError(f"it holds something that cannot be saved: {_first_line(error)}", size) from error


def _require_plain(path: Path) -> None:
    """Raise unless the file can be read with ``weights_only=True``; the tensors' data are not touched."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except _UNREADABLE as error:
        found = next((line for line in str(error).splitlines() if "GLOBAL" in line), _first_line(error)).strip()
        raise WriteError(
            "a state_dict in it holds something else than tensors and plain Python values, so that it could not be "
            f"read back: {found}",
            path.stat().st_size,
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _synchronise_folder(folder: Path) -> None:
    """Let the file's new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
