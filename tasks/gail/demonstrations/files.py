"""Demonstrations as files: NumPy's arrays in one, all else as JSON beside it. Nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.run_files import plain, write_atomically

_FORMAT, _VERSION = "bilevel demonstrations", 1
_ARRAYS = ("observations", "actions", "lengths")
_ANEW = "Copy both files anew, or make others with `bilevel train gail-expert`."


def save(demonstrations: Demonstrations, path: str | Path) -> None:
    """Write demonstrations as ``path.npz`` and ``path.json``.

    Args:
        demonstrations: what to write.
        path: the name without its ending; an ending ``.npz`` or ``.json`` is left away. The folder is made.

    Raises:
        RunError: if a file cannot be written.
    """
    arrays, text = _paths(path)
    arrays.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez_compressed(content, **{name: getattr(demonstrations, name) for name in _ARRAYS})
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        "environment": demonstrations.environment,
        "horizon": demonstrations.horizon,
        "trajectories": len(demonstrations.lengths),
        "pairs": len(demonstrations),
        "returns": [None if math.isnan(value) else value for value in demonstrations.returns.tolist()],
        "about": plain(demonstrations.about, "about"),
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
    }
    write_atomically(arrays, content.getvalue())
    write_atomically(text, json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def load(path: str | Path) -> Demonstrations:
    """Return the demonstrations that `save` wrote.

    Args:
        path: the name, with or without the ending ``.npz`` or ``.json``.

    Raises:
        ConfigurationError: if there is no such file.
        DataError: if a file is damaged, cut short, or none of ours.
    """
    arrays, text = _paths(path)
    for file in (arrays, text):
        if not file.is_file():
            raise ConfigurationError(
                f"{file} is no file: demonstrations are two files, NAME.npz and NAME.json, as `bilevel train "
                "gail-expert` writes them, or a folder: a data set of Minari, with data/main_data.hdf5, or "
                "trajectories of the imitation package, with state.json."
            )
    about = _read_about(text)
    content = arrays.read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise DataError(
            f"{arrays} is damaged, or not the file that {text.name} describes: its SHA-256 is another. Copy both anew."
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = {name: file[name] for name in _ARRAYS}
        return Demonstrations(
            environment=about["environment"],
            horizon=about["horizon"],
            returns=np.array([math.nan if value is None else value for value in about["returns"]], np.float64),
            about=about["about"],
            **found,
        )
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{arrays} does not hold demonstrations: {error} {_ANEW}") from error


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is damaged: it is no JSON ({error}). {_ANEW}") from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise DataError(f"{path} was not written by `bilevel train gail-expert`: it is no {_FORMAT!r} file.")
    if about.get("version") != _VERSION:
        raise DataError(f"{path} has format version {about.get('version')!r}; this version reads {_VERSION}.")
    wanted: dict[str, type[Any] | tuple[type[Any], ...]] = {
        "environment": str, "horizon": (int, type(None)), "returns": list, "about": dict, "sha256": str,
    }  # fmt: skip
    for name, kind in wanted.items():
        if not isinstance(about.get(name, ...), kind):
            raise DataError(f"{path} is damaged: its {name!r} is missing or of another type. {_ANEW}")
    return about


def _paths(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    name = path.name.removesuffix(".npz").removesuffix(".json")
    return path.with_name(f"{name}.npz"), path.with_name(f"{name}.json")
