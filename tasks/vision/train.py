"""An adversarial training, from its configuration to its end, and a trained one from its folder."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bilevel.checkpoint import CheckpointFolder
from bilevel.errors import CheckpointError, ConfigurationError
from bilevel.fit import fit
from bilevel.loggers import Logger
from bilevel.progress import Progress
from tasks.vision import tables
from tasks.vision.build import Training, build
from tasks.vision.config import VisionConfig
from tasks.vision.data import Split
from tasks.vision.evaluation import accuracy
from tasks.vision.methods import Method

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Training", "build", "device_of", "restore", "train"]


def train(
    config: VisionConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    method: Method | None = None,
    split: Split | None = None,
    checkpoint_every: int | None = None,
    loggers: Sequence[Logger] | None = None,
    progress: bool | Progress = True,
    title: str | None = None,
    resume_hint: str | None = None,
) -> Training:
    """Train as ``config`` says; the test part of the data is not touched.

    The log has the accuracy on the clean validation images, ``validation_accuracy``; the last classifier is the result.

    Args:
        config: the configuration. Its seed is set here, at the start of a training, and nowhere else.
        folder: where the log and the checkpoints go; ``None`` keeps neither.
        resume: go on from the folder's last good checkpoint.
        method: another method than the one that ``config`` names.
        split: other data than those that ``config`` names.
        checkpoint_every: a checkpoint after so many steps; ``None`` after each epoch.
        loggers: where the numbers go; ``None`` is a CSV file in the folder.
        progress: whether a bar is drawn, or an object of your own.
        title: the name on the bar; ``None`` is the method's.
        resume_hint: what the user is told to do to go on after a stop.

    Returns:
        The parts, trained.

    Raises:
        ConfigurationError: if something is out of range or does not fit, before anything is trained.
        CheckpointError, NonFiniteError, Interrupted: as `bilevel.fit` does.
    """
    fabric = _fabric(config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    random.seed(config.seed)
    np.random.seed(config.seed % 2**32)  # noqa: NPY002 (the global generator is meant)
    torch.manual_seed(config.seed)
    training = build(config, method=method, split=split, device=fabric.device)
    with _precision(fabric):
        fitted = fit(
            training.solver,
            training.batches,
            epochs=config.epochs,
            folder=folder,
            resume=resume,
            checkpoint_every=checkpoint_every,
            evaluate=lambda: {"validation_accuracy": accuracy(training.model, training.split.validation)},
            step_schedulers=[training.scheduler],
            loggers=loggers,
            progress=progress,
            title=config.label if title is None else title,
            resume_hint=resume_hint,
        )
    return replace(training, fitted=fitted)


def restore(config: VisionConfig, folder: str | Path, *, device: torch.device | str = "cpu") -> Training:
    """Return the parts of a training as they are in its folder's last good checkpoint, in evaluation mode.

    Args:
        config: the configuration with which it was trained.
        folder: where it was trained.
        device: where model and data are put.

    Raises:
        ConfigurationError: if ``config`` does not fit.
        CheckpointError: if there is no good checkpoint, or it belongs to another configuration.
    """
    found = CheckpointFolder(Path(folder) / "checkpoints").latest()
    if found is None:
        raise CheckpointError(f"{folder} holds no checkpoint: train first, with this folder.")
    with torch.random.fork_rng():  # the first weights are replaced at once
        training = build(config, device=device)
    path, state = found
    try:
        training.solver.load_state_dict(state["solver"])
    except (CheckpointError, KeyError) as error:
        raise CheckpointError(f"{path} does not fit the configuration of its run: {error}") from error
    for part in (training.model, training.solver.rule):
        if isinstance(part, nn.Module):
            part.eval()
    return training


def device_of(config: VisionConfig) -> torch.device:
    """Return the device that ``config`` asks for.

    Raises:
        ConfigurationError: if it is not there.
    """
    return _fabric(config).device


def _fabric(config: VisionConfig) -> Fabric:
    """Return Lightning's handle of the device and the precision that ``config`` asks for."""
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise ConfigurationError("Training on images needs Lightning Fabric: pip install 'bilevel[vision]'.") from error
    try:
        return Fabric(
            accelerator=tables.DEVICES[config.device], devices=1, precision=tables.PRECISIONS[config.precision]
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"The device {config.device} cannot be used: {error}") from error


@contextmanager
def _precision(fabric: Fabric) -> Iterator[None]:
    """Within the context networks compute in the precision of ``fabric``."""
    # Autocast would keep its copies of the weights until the context ends, whatever the optimizers do to them.
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with fabric.autocast():
            yield
    finally:
        torch.set_autocast_cache_enabled(cached)
