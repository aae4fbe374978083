"""Demonstrations from whatever was named: files of ours, a data set of Minari, or trajectories of imitation."""

from __future__ import annotations

from pathlib import Path

from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.gail.demonstrations.files import load
from tasks.gail.demonstrations.from_imitation import from_imitation
from tasks.gail.demonstrations.from_minari import MAIN, from_minari

_STATE = "state.json"


def read(path: str | Path, environment: str, *, horizon: int | None = None) -> Demonstrations:
    """Return the demonstrations at ``path``, whoever wrote them.

    Args:
        path: a file that `save` wrote, or the folder of a data set of Minari or of trajectories of imitation.
        environment: gymnasium's id, for folders that do not say it.
        horizon: the steps of each episode if that is fixed, for folders, which never say it.

    Raises:
        ConfigurationError: if nothing of the kind is there.
        DataError: if it is damaged.
    """
    path = Path(path).expanduser()
    if (path / MAIN).is_file() or (path / "data" / MAIN).is_file():
        return from_minari(path, horizon=horizon)
    if (path / _STATE).is_file():
        return from_imitation(path, environment, horizon=horizon)
    return load(path)
