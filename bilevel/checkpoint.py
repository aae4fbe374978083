"""A run's checkpoints: the last few are kept, and the last good one is found again."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from bilevel import checkpoint_file
from bilevel.checkpoint_file import WriteError, read
from bilevel.errors import CheckpointError, ConfigurationError

__all__ = ["CheckpointFolder", "WriteError", "read"]

_NAME = re.compile(r"step-(\d+)\.pt")


@final
class CheckpointFolder:
    """The files ``step-00000123.pt`` of one run. One process at a time may write to it.

    Args:
        path: the folder; it is made when something is written.
        keep: how many of the last checkpoints stay, at least 1.
        resume_hint: how the user goes on from the last checkpoint; it ends the messages.

    Attributes:
        good: the checkpoint that was last written or read, by this process or by the first of several.

    Raises:
        ConfigurationError: if ``keep`` is below 1 or ``path`` is a file.
    """

    def __init__(self, path: str | Path, *, keep: int = 3, resume_hint: str = "") -> None:
        self.path = Path(path)
        self.keep = keep
        self.resume_hint = resume_hint
        self.good: Path | None = None
        if keep < 1:
            raise ConfigurationError(f"keep is the number of checkpoints that stay, at least 1; got {keep}.")
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a file; checkpoints need a folder: choose another one.")

    def files(self) -> list[Path]:
        """Return the checkpoints that are there, by step."""
        return sorted((p for p in self.path.glob("step-*.pt") if _step(p) >= 0), key=_step)

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the checkpoint of ``step``, then remove those older than the last ``keep``.

        Raises:
            CheckpointError: if it could not be written; what was there before is intact.
        """
        path = self.path / f"step-{step:08d}.pt"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            checkpoint_file.write(path, state)
        except OSError as error:
            raise CheckpointError(f"{self.path} cannot be written to: {error.strerror or error}.") from error
        except WriteError as error:
            raise CheckpointError(
                f"The checkpoint of step {step} could not be written to {self.path}: {error}. It needs "
                f"{_size(error.needed)}; {_size(self._free())} are free there. {self.last_good()}"
            ) from error
        # Whatever is newer than this step is a damaged file that was passed over: it counts for nothing.
        so_far = [p for p in self.files() if _step(p) <= step]
        for old in so_far[: -self.keep]:
            old.unlink(missing_ok=True)
        self.good = path
        return path

    def latest(self) -> tuple[Path, dict[str, Any]] | None:
        """Return the last good checkpoint and its state; ``None`` if there is no checkpoint at all.

        A file that is damaged or not ours is passed over, with a warning that names it and the one used.

        Raises:
            CheckpointError: if there are checkpoints and none is good.
        """
        reasons: list[str] = []
        for path in reversed(self.files()):
            try:
                state = read(path)
            except CheckpointError as error:
                reasons.append(str(error))
                continue
            if reasons:
                warnings.warn(f"{' '.join(reasons)} Using the earlier {path} instead.", stacklevel=2)
            self.good = path
            return path, state
        if reasons:
            raise CheckpointError(
                f"No checkpoint in {self.path} can be used. {' '.join(reasons)} Start anew in another folder."
            )
        return None

    def remove_leftovers(self) -> None:
        """Remove what a killed process was writing."""
        for path in self.path.glob(".step-*.pt.tmp"):
            path.unlink(missing_ok=True)

    def require_room(self, state: Mapping[str, Any]) -> None:
        """Raise unless the disk has room for the checkpoints that are yet to come.

        Raises:
            CheckpointError: saying how much is needed and how much is free.
        """
        # A new one is written before the oldest goes.
        missing = self.keep + 1 - min(len(self.files()), self.keep)
        needed = missing * checkpoint_file.size_of(state)
        if needed > (free := self._free()):
            raise CheckpointError(
                f"{missing} more checkpoints in {self.path} need {_size(needed)}, but {_size(free)} are free there: "
                "make room, choose a folder on another disk or keep fewer checkpoints (keep=1 at least)."
            )

    def last_good(self) -> str:
        """Say which checkpoint was last written or read, and how to go on from it."""
        if self.good is None:
            return "No checkpoint was written yet."
        hint = f" To go on from it: {self.resume_hint}." if self.resume_hint else ""
        return f"The last good checkpoint is {self.good}.{hint}"

    def _free(self) -> int:
        place = self.path
        while not place.exists() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
