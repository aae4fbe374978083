"""An adversarial training, from its configuration to its end, and a trained one from its folder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bilevel.fit import fit
from bilevel.loggers import Logger
from bilevel.progress import Progress
from tasks.restored import fitting, last_state
from tasks.vision.build import Training, build
from tasks.vision.compilation import check_compilable, compile_or_warn
from tasks.vision.config import VisionConfig
from tasks.vision.data import Split
from tasks.vision.evaluation import accuracy
from tasks.vision.machine import fabric_of, launch, precision_of
from tasks.vision.methods import Method

__all__ = ["Training", "build", "device_of", "restore", "train"]

AVERAGE = "averaged weights"
"""The name of the averaged classifier in a checkpoint."""


def train(
    config: VisionConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    model: nn.Module | None = None,
    method: Method | None = None,
    split: Split | None = None,
    checkpoint_every: int | None = None,
    loggers: Sequence[Logger] | None = None,
    progress: bool | Progress = True,
    title: str | None = None,
    resume_hint: str | None = None,
) -> Training:
    """Train as ``config`` says; the test part of the data is not touched.

    The log has the accuracy on the clean validation images, ``validation_accuracy``; the last classifier is the result,
    or the average of its weights. Where several devices train together, each of their processes calls this.

    Args:
        config: the configuration. Its seed is set here, at the start of a training, and nowhere else.
        folder: where the log and the checkpoints go; ``None`` keeps neither.
        resume: go on from the folder's last good checkpoint.
        model: another classifier than the one that ``config`` names: images in [0, 1] to logits (n, classes).
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
        CheckpointError, NonFiniteError, OutOfMemoryError, ProcessError, Interrupted: as `bilevel.fit` does.
    """
    fabric, processes = launch(config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    random.seed(config.seed)
    np.random.seed(config.seed % 2**32)  # noqa: NPY002 (the global generator is meant)
    torch.manual_seed(config.seed)
    training = build(config, model=model, method=method, split=split, device=fabric.device, processes=processes)
    leader, average = training.solver.task.leader, training.average
    with precision_of(fabric):
        if config.compile:
            check_compilable(training.solver)
            size = config.batch_size // processes.count
            compile_or_warn(leader, training.split.train.batch(slice(0, size)).x)
        fitted = fit(
            training.solver,
            training.batches,
            epochs=config.epochs,
            folder=folder,
            resume=resume,
            checkpoint_every=checkpoint_every,
            evaluate=lambda: {"validation_accuracy": accuracy(training.model, training.split.validation)},
            step_schedulers=[training.scheduler],
            after_step=[] if average is None else [average.update],
            extras={} if average is None else {AVERAGE: average},
            loggers=loggers,
            progress=progress,
            title=config.label if title is None else title,
            resume_hint=resume_hint,
        )
    return replace(training, fitted=fitted)


def restore(
    config: VisionConfig,
    folder: str | Path,
    *,
    model: nn.Module | None = None,
    method: Method | None = None,
    split: Split | None = None,
    device: torch.device | str = "cpu",
) -> Training:
    """Return the parts of a training as they are in its folder's last good checkpoint, in evaluation mode.

    Args:
        config: the configuration with which it was trained.
        folder: where it was trained.
        model: the classifier, if it is another one than ``config`` names; it takes up the weights.
        method: the method, if it is another one than ``config`` names.
        split: the data, if they are others than those that ``config`` names.
        device: where model and data are put.

    Raises:
        ConfigurationError: if ``config`` does not fit.
        CheckpointError: if there is no good checkpoint, or it belongs to another configuration.
    """
    path, state = last_state(folder)
    with torch.random.fork_rng():  # the first weights are replaced at once
        training = build(config, model=model, method=method, split=split, device=device)
    with fitting(path):
        training.solver.load_state_dict(state["solver"])
        if training.average is not None:
            training.average.load_state_dict(state["extras"][AVERAGE])
    for part in (training.model, training.solver.task.leader, training.solver.rule):
        if isinstance(part, nn.Module):
            part.eval()
    return training


def device_of(config: VisionConfig) -> torch.device:
    """Return the device that ``config`` asks for.

    Raises:
        ConfigurationError: if it is not there.
    """
    return fabric_of(config).device
