"""Demonstrations from the trajectories that the package `imitation` saves, without executing anything in them."""

from __future__ import annotations

import json
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError, DataWarning
from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.gail.demonstrations.trajectories import Trajectory, gather


def state_file(path: Path) -> Path:
    """Return the file that every folder of trajectories has."""
    return path / "state.json"


def from_imitation(path: str | Path, environment: str, *, horizon: int | None = None) -> Demonstrations:
    """Return all trajectories that ``imitation.data.serialize.save`` wrote, now (a folder) or up to 2023 (an npz file).

    What environments said beside (``infos``) is pickled, so it is not read; a warning says so where there is any.

    Args:
        path: the folder, or the file.
        environment: gymnasium's id, which these files do not have.
        horizon: the steps of each episode if that is fixed.

    Raises:
        ConfigurationError: if there is no such folder or file, or pyarrow, which a folder needs, is missing.
        DataError: if it is damaged, or holds something else.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        trajectories = _from_folder(path)
    elif path.is_file():
        trajectories = _from_archive(path)
    else:
        raise ConfigurationError(f"{path} does not exist: name what imitation.data.serialize.save wrote.")
    about = {"source": "imitation", "left_out": ["infos"]}
    return gather(trajectories, environment=environment, horizon=horizon, about=about, source=str(path))


def _from_folder(path: Path) -> list[Trajectory]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ConfigurationError(
            "Trajectories of imitation need pyarrow, of the extra 'demonstrations': "
            "pip install 'bilevel[demonstrations]'."
        ) from error
    state = state_file(path)
    if not state.is_file():
        raise ConfigurationError(f"{path} is no folder that imitation.data.serialize.save wrote: it has no state.json.")
    found: list[Trajectory] = []
    try:
        for entry in json.loads(state.read_text(encoding="utf-8"))["_data_files"]:
            with pa.memory_map(str(path / Path(entry["filename"]).name)) as file:
                table = pa.ipc.open_stream(file).read_all()
                rewards = table["rews"] if "rews" in table.column_names else [None] * table.num_rows
                columns = zip(table["obs"], table["acts"], rewards, strict=True)
                if "infos" in table.column_names and _tells(table["infos"]):
                    _say_left_out(path)
                found += [Trajectory(_array(o), _array(a), None if r is None else _array(r)) for o, a, r in columns]
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged, or not written by imitation: {error}") from error
    return found


def _tells(infos: Any) -> bool:
    """Whether any of the texts is more than an empty dict."""
    return any(text != "{}" for chunk in infos.chunks for text in chunk.flatten().unique().to_pylist())


def _say_left_out(path: Path) -> None:
    message = f"{path}: what the environment said beside (infos) is pickled and was left out."
    warnings.warn(message, DataWarning, stacklevel=4)


def _array(scalar: Any) -> np.ndarray:
    return np.array(scalar.as_py())


def _from_archive(path: Path) -> list[Trajectory]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds one array; trajectories are several, in an npz file.")
            ends = file["indices"]
            observations = np.split(file["obs"], ends + np.arange(len(ends)) + 1)
            actions = np.split(file["acts"], ends)
            rewards = np.split(file["rews"], ends) if "rews" in file else [None] * len(actions)
            if "infos" in file:
                _say_left_out(path)
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} is damaged, a pickle (which is never read: what is in it would be executed), or not written by "
            f"imitation: {error}"
        ) from error
    return [Trajectory(o, a, r) for o, a, r in zip(observations, actions, rewards, strict=True)]
