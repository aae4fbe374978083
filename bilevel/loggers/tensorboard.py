"""Curves for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from bilevel.errors import ConfigurationError
from bilevel.loggers.base import Logger, Row

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


@final
class TensorBoardLogger(Logger):
    """Writes one curve a number, against the step.

    Args:
        folder: where TensorBoard's event files go.

    Raises:
        ConfigurationError: if TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._writer: SummaryWriter | None = None
        try:
            import torch.utils.tensorboard  # noqa: F401, PLC0415 -- an optional extra
        except ImportError as error:
            raise ConfigurationError(
                "TensorBoardLogger needs TensorBoard, which is not installed: pip install 'bilevel[vision]'"
            ) from error

    def start(self, last_step: int | None) -> None:
        """Begin an event file; TensorBoard hides what earlier ones hold after ``last_step``."""
        from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415

        if last_step is None and any(self.folder.glob("events.out.tfevents.*")):
            raise ConfigurationError(
                f"{self.folder} holds the curves of an earlier run: resume that run or choose another folder."
            )
        purge = None if last_step is None else last_step + 1
        self._writer = SummaryWriter(str(self.folder), purge_step=purge)

    def log(self, row: Row) -> None:
        """Add a point to each curve."""
        if self._writer is None:
            raise ConfigurationError("TensorBoardLogger.log was called before start.")
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, int(row["step"]))
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
