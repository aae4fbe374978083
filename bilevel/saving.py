"""The checkpoints of a training, written by the first of its processes and read for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

from bilevel.checkpoint import CheckpointFolder
from bilevel.training_state import TrainingState


@final
class Saving:
    """Saves and restores a `TrainingState`, or does nothing if there is no folder.

    Args:
        state: where the training stands.
        folder: where checkpoints go, if anywhere.

    Attributes:
        saved: the last checkpoint.
        resumed_from: the checkpoint from which training went on.
    """

    def __init__(self, state: TrainingState, folder: CheckpointFolder | None) -> None:
        self.state = state
        self.folder = folder
        self.saved: Path | None = None
        self.resumed_from: Path | None = None

    def save(self) -> None:
        """Write a checkpoint."""
        if (folder := self.folder) is None:
            return
        state, processes = self.state, self.state.solver.processes
        # What each of several processes has of its own goes with the first one's state.
        others = [] if processes.count == 1 else processes.gather(state.own_state_dict())[1:]
        whole = state.state_dict() | {"processes": others} if processes.is_first else {}
        self.saved = processes.from_first(lambda: folder.save(state.solver.step_count, whole))
        folder.good = self.saved

    def resume(self) -> None:
        """Take up the last good checkpoint, if there is one."""
        if (folder := self.folder) is None:
            return

        def latest() -> tuple[Path, dict[str, Any]] | None:
            folder.remove_leftovers()
            return folder.latest()

        if (found := self.state.solver.processes.from_first(latest)) is not None:
            self.resumed_from, state = found
            self.state.load_state_dict(state)
            self.saved = folder.good = self.resumed_from

    def require_room(self) -> None:
        """Raise `CheckpointError` unless the disk has room for the checkpoints that are yet to come."""
        if (folder := self.folder) is not None:
            parts = {"solver": self.state.solver, **self.state.extras}
            states = {name: part.state_dict() for name, part in parts.items()}
            self.state.solver.processes.from_first(lambda: folder.require_room(states))

    def advice(self) -> str:
        """Say which checkpoint there is, and how to go on from it."""
        return "There is no checkpoint, since no folder was given." if self.folder is None else self.folder.last_good()
