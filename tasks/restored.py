"""A training's last good checkpoint, or a sentence that says why there is none that fits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bilevel.checkpoint import CheckpointFolder
from bilevel.errors import CheckpointError


def last_state(folder: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return the last good checkpoint of a training's folder and its state.

    Raises:
        CheckpointError: if there is none.
    """
    found = CheckpointFolder(Path(folder) / "checkpoints").latest()
    if found is None:
        raise CheckpointError(f"{folder} holds no checkpoint: train first, with this folder.")
    return found


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Within the context the state of the checkpoint ``path`` is taken up.

    Raises:
        CheckpointError: if it belongs to another configuration.
    """
    try:
        yield
    except (CheckpointError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit the configuration of its run: {error}") from error
