"""Demonstrations from whatever was named: files of ours, a data set of Minari, or trajectories of imitation."""

from __future__ import annotations

from pathlib import Path

from bilevel.errors import ConfigurationError
from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.gail.demonstrations.files import load
from tasks.gail.demonstrations.from_imitation import from_imitation, state_file
from tasks.gail.demonstrations.from_minari import data_file, from_minari


def read(path: str | Path, environment: str, *, horizon: int | None = None) -> Demonstrations:
    """Return the demonstrations at ``path``, whoever wrote them.

    Args:
        path: a file that `save` wrote, or the folder of a data set of Minari or of trajectories of imitation.
        environment: gymnasium's id, for folders that do not say it.
        horizon: the steps of each episode if that is to be fixed; folders never say whether it is.

    Raises:
        ConfigurationError: if nothing of the kind is there, or a folder's episodes are not all of that many steps.
        DataError: if it is damaged.
    """
    path = Path(path).expanduser()
    if data_file(path).is_file():
        found = from_minari(path, horizon=horizon)
    elif state_file(path).is_file():
        found = from_imitation(path, environment, horizon=horizon)
    else:
        return load(path)
    if horizon is not None and (found.lengths != horizon).any():
        raise ConfigurationError(
            f"The episodes in {path} have {found.lengths.min()} to {found.lengths.max()} steps, those of the training "
            f"{horizon} each: name others, or make them with `bilevel train gail-expert --env {environment} "
            f"--horizons {horizon}`."
        )
    return found
