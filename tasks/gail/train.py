"""Imitation learning, from its configuration to its end, and a trained policy from its folder."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import torch

from bilevel.fit import fit
from bilevel.loggers import Logger
from bilevel.progress import Progress, Quiet, bar_on_terminal
from bilevel.rng import RandomSources
from tasks.gail.build import Training, build
from tasks.gail.config import GAILConfig
from tasks.gail.evaluation import Report
from tasks.gail.learner import Learner
from tasks.restored import fitting, last_state


def train(
    config: GAILConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    checkpoint_every: int | None = 10,
    loggers: Sequence[Logger] | None = None,
    progress: bool | Progress = True,
    title: str | None = None,
    resume_hint: str | None = None,
) -> Training:
    """Imitate as ``config`` says.

    The log has a row an iteration: the true returns of the episodes that ended in it (``return``), the losses, the norm
    of the discriminator's weights, the policy's entropy and its divergence from the last one, environment steps so far
    and seconds. What the policy and the discriminator learn from is none of the true rewards.

    Args:
        config: the configuration. Its seed is set here, at the start of a training, and nowhere else.
        folder: where the log and the checkpoints go; ``None`` keeps neither.
        resume: go on from the folder's last good checkpoint, to the same numbers, to the last bit.
        checkpoint_every: a checkpoint after so many iterations, and at the end; ``None`` after each.
        loggers: where the numbers go; ``None`` is a CSV file in the folder.
        progress: whether a bar is drawn, or an object of your own.
        title: the name on the bar; ``None`` is the configuration's label.
        resume_hint: what the user is told to do to go on after a stop.

    Returns:
        The parts, trained.

    Raises:
        ConfigurationError: if something is out of range or does not fit, before anything is trained.
        DivergenceError, NonFiniteError: if the discriminator or the policy diverges. The policy is as it was before.
        CheckpointError, OutOfMemoryError, Interrupted: as `bilevel.fit` does.
    """
    if isinstance(progress, bool):
        progress = bar_on_terminal() if progress else Quiet()
    with _threads(config.threads):
        random.seed(config.seed)
        np.random.seed(config.seed)  # noqa: NPY002 (the global generator, of which the algorithms draw their batches)
        torch.manual_seed(config.seed)
        training = build(config)
        fitted = fit(
            training.solver,
            training.batches,
            epochs=config.iterations,
            folder=folder,
            resume=resume,
            checkpoint_every=checkpoint_every if folder is not None else None,
            evaluate=Report(training),
            loggers=loggers,
            progress=_WithReturns(progress, training.learner),
            title=config.label if title is None else title,
            resume_hint=resume_hint,
        )
    training.policy.set_training_mode(False)
    return replace(training, fitted=fitted)


def restore(config: GAILConfig, folder: str | Path) -> Training:
    """Return the parts of a training as they are in its folder's last good checkpoint.

    Args:
        config: the configuration with which it was trained.
        folder: where it was trained.

    Raises:
        ConfigurationError: if ``config`` does not fit.
        CheckpointError: if there is no good checkpoint, or it belongs to another configuration.
    """
    path, state = last_state(folder)
    with RandomSources().kept_aside():  # the first weights are replaced at once
        training = build(config)
    with fitting(path):
        training.solver.load_state_dict(state["solver"])
    training.policy.set_training_mode(False)
    return training


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use so many cores within the context; ``None`` leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@final
class _WithReturns(Progress):
    """Shows the returns of an iteration beside its losses."""

    def __init__(self, shown: Progress, learner: Learner) -> None:
        self.shown = shown
        self.learner = learner

    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        """Hand it on."""
        self.shown.start(title, epochs=epochs, steps=steps, done=done)

    def advance(self, epoch: int) -> None:
        """Hand it on."""
        self.shown.advance(epoch)

    def show(self, numbers: Mapping[str, float]) -> None:
        """Hand it on with the mean return, if an episode ended."""
        found = self.learner.numbers.get("return")
        self.shown.show(dict(numbers) if found is None else {**numbers, "return": found})

    def stop(self) -> None:
        """Hand it on."""
        self.shown.stop()
