"""A loop around `Solver.step`: epochs, logs, checkpoints, and what to do when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bilevel.checkpoint import CheckpointFolder
from bilevel.errors import ConfigurationError
from bilevel.evaluation import Evaluate
from bilevel.loggers import CSVLogger, Logger
from bilevel.monitor import Monitor
from bilevel.progress import Progress, Quiet, bar_on_terminal
from bilevel.rng import RandomSources
from bilevel.solver import Solver
from bilevel.training_loop import TrainingLoop, length_of
from bilevel.training_state import Stateful, TrainingState


@final
@dataclass(frozen=True, slots=True)
class Fitted:
    """What a finished training was.

    Attributes:
        steps: how many steps the solver has taken, those before a resume among them.
        epochs: how many epochs are done.
        seconds: the training time of all of them, without evaluation and checkpoints.
        evaluation: the numbers of the last evaluation; empty without one.
        rows: what was logged for each epoch of this call (of a resumed training: of the part after the resume).
        checkpoint: the last checkpoint; ``None`` without a folder.
        resumed_from: the checkpoint from which this call went on; ``None`` if it began anew.
    """

    steps: int
    epochs: int
    seconds: float
    evaluation: dict[str, float]
    rows: tuple[dict[str, int | float], ...]
    checkpoint: Path | None
    resumed_from: Path | None


def fit(
    solver: Solver[Any],
    data: Iterable[Any],
    *,
    epochs: int,
    folder: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    keep: int = 3,
    check_every: int = 20,
    evaluate: Evaluate | None = None,
    schedulers: Sequence[LRScheduler] = (),
    step_schedulers: Sequence[LRScheduler] = (),
    after_step: Sequence[Callable[[], object]] = (),
    extras: Mapping[str, Stateful] | None = None,
    loggers: Sequence[Logger] | None = None,
    progress: bool | Progress = True,
    title: str = "",
    resume_hint: str | None = None,
) -> Fitted:
    """Take one step of ``solver`` a batch, for a number of epochs.

    With a folder, a training that was stopped, killed or broken off goes on by the same call with ``resume=True`` and
    reaches the same numbers, to the last bit, as one that was never stopped. For that the order of ``data`` may come
    from the random number generators of torch, NumPy and Python, or from a torch generator in ``data.generator`` or
    ``data.sampler.generator``, and from nothing else. A `DataLoader` of torch is such data; with persistent workers
    that draw random numbers it is not. Batches that the players make, such as rollouts of a policy, have a method
    ``batches_after`` (see `bilevel.data.MadeByPlayers`).

    The first Ctrl-C, SIGTERM or SIGUSR1 lets the step end, writes a checkpoint and raises `Interrupted`; a second one
    stops at once. Memory that ran out or a process that was lost end it with an error that says how to go on.

    If the solver joined other processes, all of them call fit with the same arguments, and ``data`` are each one's
    shares of the batches. The first writes the logs and the checkpoints, for which the folder need not be seen by the
    others. A signal to one of them stops all, at the next check.

    Args:
        solver: the players. A leader that is a module is put into training mode, and so is a rule that is trained.
        data: batches, gone through once an epoch.
        epochs: how many epochs in all, at least 1; a resumed training does those that are missing.
        folder: where ``metrics.csv`` and ``checkpoints/`` go; ``None`` keeps neither.
        resume: go on from the folder's last good checkpoint. A folder that has none yet is begun.
        checkpoint_every: a checkpoint after so many steps, and at the end; ``None`` after each epoch.
        keep: how many of the last checkpoints stay.
        check_every: after how many steps their numbers are fetched from the device and checked. They are also
            checked before each checkpoint and after each epoch.
        evaluate: called after each epoch; its numbers are logged. It may draw random numbers and change modes of
            modules: training does not notice.
        schedulers: learning-rate schedulers that step once an epoch.
        step_schedulers: learning-rate schedulers that step once a step.
        after_step: called after each step, such as the ``update`` of a `WeightAverage`.
        extras: further parts whose state belongs to the training (averaged weights, a scaler, a buffer), by name.
        loggers: where the numbers go; ``None`` is a `CSVLogger` if there is a folder.
        progress: ``True`` draws a bar on a terminal, ``False`` draws none; or an object of your own.
        title: the name of this training on the bar.
        resume_hint: what the user is told to do to go on after a stop, such as ``bilevel resume RUN``.

    Returns:
        What was done.

    Raises:
        ConfigurationError: if an argument is out of range, ``data`` are empty or can be gone through only once, or
            the folder holds a run and ``resume`` is not set.
        NonFiniteError: if a loss, a gradient or a player is infinite or not a number. No checkpoint holds it.
        CheckpointError: if a checkpoint cannot be written, or none of those that are there can be read.
        OutOfMemoryError: if a step did not fit into memory.
        ProcessError: if another process, or a worker that loads the data, was lost.
        Interrupted: after Ctrl-C, SIGTERM or SIGUSR1.
    """
    if not isinstance(solver, Solver):
        raise ConfigurationError(f"fit needs a bilevel.Solver first, got {type(solver).__name__}.")
    if isinstance(schedulers, LRScheduler) or isinstance(step_schedulers, LRScheduler):
        raise ConfigurationError("schedulers and step_schedulers are lists: write schedulers=[...].")
    _check_counts(epochs=epochs, keep=keep, check_every=check_every, checkpoint_every=checkpoint_every)
    _check_data(data, epochs)
    _check_schedulers([*schedulers, *step_schedulers])
    if folder is None and (resume or checkpoint_every is not None):
        raise ConfigurationError("resume and checkpoint_every need a folder: pass folder=...")
    checkpoints = None
    if folder is not None:
        place = Path(folder)
        checkpoints = solver.processes.from_first(lambda: _checkpoints(place, keep, resume, resume_hint))
    if loggers is None:
        loggers = [] if folder is None else [CSVLogger(Path(folder) / "metrics.csv")]
    if isinstance(progress, bool):
        progress = bar_on_terminal() if progress else Quiet()
    state = TrainingState(
        solver,
        schedulers=[*schedulers, *step_schedulers],
        extras=extras or {},
        random=RandomSources.of(data),
        monitor=Monitor(check_every),
    )
    loop = TrainingLoop(
        state,
        data,
        epochs=epochs,
        checkpoints=checkpoints,
        checkpoint_every=checkpoint_every,
        evaluate=evaluate,
        schedulers=schedulers,
        step_schedulers=step_schedulers,
        after_step=after_step,
        loggers=loggers,
        progress=progress,
    )
    loop.run(resume=resume, title=title)
    return Fitted(
        steps=solver.step_count,
        epochs=state.epoch,
        seconds=state.seconds,
        evaluation=state.evaluation,
        rows=tuple(loop.rows),
        checkpoint=loop.saving.saved,
        resumed_from=loop.saving.resumed_from,
    )


def _checkpoints(folder: Path, keep: int, resume: bool, resume_hint: str | None) -> CheckpointFolder:
    """Return the folder's checkpoints, after making sure that none would be overwritten unasked."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file; a run needs a folder: choose another name.")
    hint = resume_hint or f"fit(..., folder={str(folder)!r}, resume=True)"
    checkpoints = CheckpointFolder(folder / "checkpoints", keep=keep, resume_hint=hint)
    if not resume and checkpoints.files():
        raise ConfigurationError(
            f"{folder} holds a run already (its last checkpoint is {checkpoints.files()[-1].name}), which is not "
            f"overwritten. To go on with it: {hint}. To begin anew, choose another folder."
        )
    return checkpoints


def _check_counts(*, epochs: int, keep: int, check_every: int, checkpoint_every: int | None) -> None:
    counts = {"epochs": epochs, "keep": keep, "check_every": check_every, "checkpoint_every": checkpoint_every}
    for name, count in counts.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ConfigurationError(f"{name} must be a whole number from 1, got {count!r}.")


def _check_data(data: Iterable[Any], epochs: int) -> None:
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise ConfigurationError(f"data must be an iterable of batches, such as a DataLoader; got {data!r}.")
    if length_of(data) == 0:
        raise ConfigurationError("data holds no batch: fit needs at least one (mind drop_last with few samples).")
    if epochs > 1 and hasattr(data, "__next__"):
        raise ConfigurationError(
            f"data is an iterator ({type(data).__name__}), which can be gone through only once, and epochs is "
            f"{epochs}: pass a list or a DataLoader, or epochs=1."
        )


def _check_schedulers(schedulers: Sequence[LRScheduler]) -> None:
    for scheduler in schedulers:
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ConfigurationError(
                "ReduceLROnPlateau waits for a number that fit does not hand to schedulers: step it yourself in "
                "evaluate() and pass it in extras, or use another scheduler."
            )
