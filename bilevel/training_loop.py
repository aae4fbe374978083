"""The loop of `bilevel.fit`, epoch by epoch."""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn, final

from torch.optim.lr_scheduler import LRScheduler

from bilevel.breakdown import breakdown
from bilevel.checkpoint import CheckpointFolder
from bilevel.data import MadeByPlayers
from bilevel.errors import CheckpointError, ConfigurationError, ProcessError
from bilevel.evaluation import Evaluate, run_evaluation, train_mode
from bilevel.interrupt import Interrupted, Interrupts
from bilevel.learning_rates import learning_rates
from bilevel.loggers import Logger
from bilevel.progress import Progress, Quiet
from bilevel.saving import Saving
from bilevel.training_state import TrainingState
from bilevel.watch import Watch


def length_of(data: Iterable[Any]) -> int | None:
    """Return the number of batches of an epoch; ``None`` if the data do not tell."""
    try:
        return len(data)  # type: ignore[arg-type]
    except TypeError:
        return None


@final
class TrainingLoop:
    """One call of `bilevel.fit`, whose arguments these are.

    Args:
        state: where the training stands.
        data: the batches of an epoch.
        epochs: how many epochs in all.
        checkpoints: where checkpoints go, if anywhere.
        checkpoint_every: a checkpoint after so many steps; ``None`` after each epoch.
        evaluate: called after each epoch.
        schedulers: step once an epoch.
        step_schedulers: step once a step.
        after_step: called after each step.
        loggers: take the numbers of each epoch.
        progress: what the user sees.

    Attributes:
        rows: what was logged.
        saving: the checkpoints.
    """

    def __init__(
        self,
        state: TrainingState,
        data: Iterable[Any],
        *,
        epochs: int,
        checkpoints: CheckpointFolder | None,
        checkpoint_every: int | None,
        evaluate: Evaluate | None,
        schedulers: Sequence[LRScheduler],
        step_schedulers: Sequence[LRScheduler],
        after_step: Sequence[Callable[[], object]],
        loggers: Sequence[Logger],
        progress: Progress,
    ) -> None:
        self.state = state
        self.data = data
        self.epochs = epochs
        self.saving = Saving(state, checkpoints)
        self.watch = Watch(state, self.saving)
        self.checkpoint_every = checkpoint_every
        self.evaluate = evaluate
        self.schedulers = schedulers
        self.step_schedulers = step_schedulers
        self.after_step = after_step
        self.processes = state.solver.processes
        self.loggers = loggers if self.processes.is_first else ()
        self.progress = progress if self.processes.is_first else Quiet()
        self.rows: list[dict[str, int | float]] = []
        self._interrupts = Interrupts()
        self._clock: float | None = None  # since when the time counts as training
        self._room_is_known = checkpoints is None
        self._resumed_at: int | None = None

    def run(self, *, resume: bool, title: str) -> None:
        """Do the epochs that are missing."""
        state = self.state
        if resume:
            self.saving.resume()
            self._resumed_at = state.solver.step_count if self.saving.resumed_from else None
        self.saving.require_room()
        with ExitStack() as stack:
            for logger in self.loggers:
                logger.start(state.last_whole_step if resume else None)
                stack.callback(logger.close)
            stack.enter_context(self._interrupts)
            self._start_progress(title)
            stack.callback(self.progress.stop)
            train_mode(state.solver)
            try:
                if self.saving.resumed_from is None:
                    self._save()
                while state.epoch < self.epochs:
                    self._train()
                    self._end_epoch()
                if self._asked_to_stop():  # the signal came while the last checkpoint was written
                    self._stop()
            except Exception as error:
                shown = breakdown(error, state.solver.step_count, self.saving.advice())
                if shown is None:
                    raise
                raise shown from error

    def _train(self) -> None:
        """Take the steps that are left of this epoch."""
        state, solver, every = self.state, self.state.solver, self.checkpoint_every
        batches = self._batches()
        self._clock = time.perf_counter()
        for batch in batches:
            record = solver.step(batch)
            for scheduler in self.step_schedulers:
                scheduler.step()
            for call in self.after_step:
                call()
            state.batch += 1
            checked = state.monitor.add(record)
            if checked:
                self.watch.check_records()
                self.progress.show(state.monitor.last)
            self.progress.advance(state.epoch + 1)
            due = every is not None and solver.step_count % every == 0
            # Several processes agree only where they wait for each other in any case.
            if (checked or due or self.processes.count == 1) and self._asked_to_stop():
                self._stop()
            if due:
                self._save()
            if not self._room_is_known:  # the first step has made the optimizers' states
                self._room_is_known = True
                self.saving.require_room()
        if state.batch == 0:
            raise ConfigurationError(
                f"data gave no batch in epoch {state.epoch + 1}: fit needs at least one, and anew in each epoch (from "
                "a list or a DataLoader, not from an iterator)."
            )

    def _batches(self) -> Iterator[Any]:
        """Begin the data, and pass over those batches of the epoch that are done."""
        self.state.begin_epoch()
        if isinstance(self.data, MadeByPlayers):
            self.state.catch_up()
            return iter(self.data.batches_after(self.state.batch))
        batches = iter(self.data)
        for passed in range(self.state.batch):
            if next(batches, self) is self:
                raise CheckpointError(
                    f"The checkpoint was written after batch {self.state.batch} of epoch {self.state.epoch + 1}, but "
                    f"the data end after {passed}: resume with the data with which the run was begun."
                )
        self.state.catch_up()
        return batches

    def _end_epoch(self) -> None:
        state = self.state
        self.watch.check_all()
        self.progress.show(state.monitor.last)
        self._stop_clock()
        means = self.processes.mean(state.monitor.means())
        failure: Exception | None = None
        try:
            if self.evaluate is not None:
                state.evaluation = run_evaluation(self.evaluate, state, self._interrupts)
            row = self._row(means)
            for logger in self.loggers:
                logger.log(row)
        except KeyboardInterrupt:
            if self._interrupts.requested is None or self._interrupts.repeated:
                raise
            self._stop()  # resuming ends this epoch once more
        except Exception as error:  # noqa: BLE001 (it is raised again)
            failure = error
        if self.processes.any(failure is not None):
            self._save()  # the epoch's work is not lost by what came after it
            raise failure or ProcessError("Another process of this training failed after the epoch.")
        self.rows.append(row)
        with warnings.catch_warnings():
            if self._resumed_at == state.solver.step_count:  # its optimizer's steps were those of another process
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            for scheduler in self.schedulers:
                scheduler.step()
        state.end_epoch()
        if self._asked_to_stop():
            self._stop()
        if self.checkpoint_every is None or state.epoch >= self.epochs:
            self._save()

    def _row(self, means: dict[str, float]) -> dict[str, int | float]:
        state = self.state
        row: dict[str, int | float] = {
            "epoch": state.epoch + 1,
            "step": state.solver.step_count,
            **means,
            **learning_rates(state.solver),
            "seconds": state.epoch_seconds,
        }
        if taken := sorted(row.keys() & state.evaluation.keys()):
            raise ConfigurationError(f"evaluate returned {', '.join(taken)}, which the log has already: rename it.")
        return row | state.evaluation

    # Checkpoints and stops.

    def _save(self) -> None:
        """Write a checkpoint of a state that is known to be finite."""
        if self.saving.folder is None:
            return
        self.watch.check_all()
        running = self._stop_clock()
        self.saving.save()
        self._clock = time.perf_counter() if running else None

    def _asked_to_stop(self) -> bool:
        """Whether a signal came, to whichever of the processes."""
        return self.processes.any(self._interrupts.requested is not None)

    def _stop(self) -> NoReturn:
        """Stop between two steps."""
        self._save()
        state, by = self.state, self._interrupts.requested or signal.SIGTERM  # the latter if another process got one
        place = (
            "Nothing was saved, since no folder was given."
            if self.saving.folder is None
            else f"The checkpoint is {self.saving.saved}. To go on: {self.saving.folder.resume_hint}"
        )
        raise Interrupted(
            f"Stopped by {'Ctrl-C' if by is signal.SIGINT else by.name} after step {state.solver.step_count} "
            f"({state.epoch} of {self.epochs} epochs are done). {place}",
            step=state.solver.step_count,
            checkpoint=self.saving.saved,
            signal=by,
        )

    # Clock and bar.

    def _stop_clock(self) -> bool:
        """Add the time since the clock was started to the epoch's, and say whether it ran."""
        if self._clock is None:
            return False
        self.state.epoch_seconds += time.perf_counter() - self._clock
        self._clock = None
        return True

    def _start_progress(self, title: str) -> None:
        length = length_of(self.data)
        self.progress.start(
            title,
            epochs=self.epochs,
            steps=None if length is None else self.epochs * length,
            done=0 if length is None else self.state.epoch * length + self.state.batch,
        )
