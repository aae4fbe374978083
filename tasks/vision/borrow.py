"""Trainings that another run has finished already, which need not be made twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bilevel.checkpoint import CheckpointFolder
from tasks.run import Run
from tasks.settings import to_dict
from tasks.vision.assess import is_assessed, lend_answers
from tasks.vision.config import VisionConfig
from tasks.vision.sweep import part_name


def borrow(run: Run, configs: Sequence[VisionConfig], lenders: Sequence[Run]) -> list[str]:
    """Copy what ``lenders`` have trained and ``run`` has not begun: checkpoint, log and what attacks found.

    A training is the same if every setting is, the data's folder included, and finished if it was attacked there. An
    attack that was made there on the same images is not made again.

    Args:
        run: the run whose parts are filled.
        configs: its trainings.
        lenders: runs that hold trainings as parts.

    Returns:
        The names of the parts that were filled.

    Raises:
        CheckpointError: if a training has no good checkpoint.
        RunError: if a part's configuration cannot be read.
    """
    return [part_name(config) for config in configs if any(_lend(run, config, lender) for lender in lenders)]


def _lend(run: Run, config: VisionConfig, lender: Run) -> bool:
    part, theirs = run.part(part_name(config)), lender.path / "parts" / part_name(config)
    if any(part.iterdir()) or not (theirs / "config.yaml").is_file():
        return False
    if Run.open(theirs).config != {"task": config.task, **to_dict(config)} or not is_assessed(Run(theirs, {})):
        return False
    found = CheckpointFolder(theirs / "checkpoints").latest()
    if found is None:
        return False
    # Moved into place when all is there, so that a part is never filled by half.
    with tempfile.TemporaryDirectory(dir=run.path) as place:
        copy = Path(place) / "part"
        (copy / "checkpoints").mkdir(parents=True)
        shutil.copy2(found[0], copy / "checkpoints")
        if (theirs / "metrics.csv").is_file():
            shutil.copy2(theirs / "metrics.csv", copy)
        lend_answers(Run(theirs, {}), copy)
        copy.rename(part)  # an empty folder gives way
    return True
