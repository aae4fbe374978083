"""Where the numbers of a run's training go."""

from __future__ import annotations

from bilevel.loggers import CSVLogger, Logger, TensorBoardLogger
from tasks.run import Run


def loggers_of(run: Run) -> list[Logger]:
    """Return a log of rows, and one for TensorBoard if the run's settings ask for it."""
    also = [TensorBoardLogger(run.path / "tensorboard")] if run.config.get("tensorboard") else []
    return [CSVLogger(run.metrics), *also]
