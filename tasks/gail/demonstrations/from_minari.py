"""Demonstrations from data sets of Minari, read with h5py alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.gail.demonstrations.trajectories import Trajectory, gather

_MAIN, _METADATA = "main_data.hdf5", "metadata.json"
_NAME = "name it in from_minari(path, environment='...'), and save what that returns."
_KEPT = ("dataset_id", "algorithm_name", "author", "code_permalink", "minari_version", "description")


def data_file(path: str | Path) -> Path:
    """Return where the episodes of a data set of Minari are, if ``path`` is the folder of one."""
    folder = Path(path).expanduser()
    return (folder / "data" if (folder / "data").is_dir() else folder) / _MAIN


def from_minari(path: str | Path, *, environment: str | None = None, horizon: int | None = None) -> Demonstrations:
    """Return all episodes of a data set of Minari. What environments said beside (``infos``) is not read.

    Args:
        path: the folder of the data set, such as ``~/.minari/datasets/D4RL/door/human-v2``.
        environment: gymnasium's id; ``None`` is what the data set says.
        horizon: the steps of each episode if that is fixed.

    Raises:
        ConfigurationError: if h5py is missing, or it is no such folder.
        DataError: if the data set is damaged, or holds what is no vector.

    Source: https://minari.farama.org, "Dataset Standards".
    """
    try:
        import h5py
    except ImportError as error:
        raise ConfigurationError(
            "Data sets of Minari need h5py, of the extra 'demonstrations': pip install 'bilevel[demonstrations]'."
        ) from error
    file = data_file(path)
    if not file.is_file():
        raise ConfigurationError(
            f"{path} is no data set of Minari in HDF5: it holds no data/{_MAIN}. Name the folder of a data set; one in "
            'the Arrow format is written anew with data_format="hdf5".'
        )
    try:
        with h5py.File(file, "r") as content:
            about = _about(file.with_name(_METADATA), content.attrs)
            names = sorted((name for name in content if name.startswith("episode_")), key=lambda n: int(n[8:]))
            trajectories = [_read(content[name], f"{name} of {file}") for name in names]
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{file} is damaged, or no data set of Minari: {error}") from error
    return gather(
        trajectories,
        environment=environment or _environment(about, file),
        horizon=horizon,
        about={"source": "Minari", **{name: about[name] for name in _KEPT if about.get(name) is not None}},
        source=str(file),
    )


def _read(episode: Any, where: str) -> Trajectory:
    for name in ("observations", "actions"):
        if not hasattr(episode[name], "shape"):
            raise DataError(f"The {name} in {where} are of several parts (a Dict or Tuple); only vectors can be used.")
    return Trajectory(episode["observations"][()], episode["actions"][()], episode["rewards"][()])


def _about(path: Path, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data set says about itself: beside the data, or in older ones within."""
    if path.is_file():
        about = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(about, dict):
            raise DataError(f"{path} is damaged: it holds no settings.")
        return about
    return {name: str(value) for name, value in attributes.items()}


def _environment(about: Mapping[str, Any], file: Path) -> str:
    specification = about.get("env_spec")
    if specification is None:
        raise ConfigurationError(f"{file} does not say which environment it is of: {_NAME}")
    try:
        return str(json.loads(specification)["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} does not say in a way that can be read which environment it is of: {_NAME}") from error
