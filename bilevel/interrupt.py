"""Ctrl-C, SIGTERM and SIGUSR1: a request to stop after the step, and a way to stop at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, final

_WARNINGS = (signal.SIGUSR1,) if hasattr(signal, "SIGUSR1") else ()  # Windows has none
_NOTICE = b"\nStopping after this step. Press Ctrl-C again to stop at once.\n"


@final
class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C, SIGTERM or SIGUSR1, between two steps.

    It is a `KeyboardInterrupt`, so that a loop over several trainings stops too.

    Attributes:
        step: the last step that was taken.
        checkpoint: where to go on from; ``None`` if training keeps no checkpoints.
        signal: what stopped it.
    """

    def __init__(self, message: str, *, step: int, checkpoint: Path | None, signal: signal.Signals) -> None:
        super().__init__(message)
        self.step = step
        self.checkpoint = checkpoint
        self.signal = signal


@final
class Interrupts:
    """Within the context the first SIGINT or SIGTERM only sets `requested`; a second one acts as it always does.

    So does SIGUSR1, by which SLURM and others warn a job that its time is nearly over, unless it has another handler.

    Signals can be handled by the main thread alone: in another thread the context does nothing. A signal that is
    ignored (as under ``nohup``) stays ignored.

    Attributes:
        requested: the signal that came first, if one came.
        repeated: whether a second one came.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self.repeated = False
        self._previous: dict[signal.Signals, Any] = {}
        self._at_once = False
        self._process = os.getpid()

    def __enter__(self) -> Interrupts:
        """Take over both signals."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, *_WARNINGS):
                previous = signal.getsignal(number)
                taken = number in _WARNINGS and previous != signal.SIG_DFL
                if previous is not None and previous != signal.SIG_IGN and not taken:
                    self._previous[number] = previous
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Hand both signals back."""
        self._restore()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the context the first signal raises `KeyboardInterrupt`: for work that may be broken off."""
        self._at_once = True
        try:
            if self.requested is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        in_worker = os.getpid() != self._process  # a data loader's worker inherits the handler
        if in_worker and number == signal.SIGINT:
            return  # the terminal sends Ctrl-C to the workers as well, but they are the main process's to stop
        if in_worker or self.requested is not None:
            self.repeated = True
            self._restore()
            signal.raise_signal(number)
            return
        self.requested = signal.Signals(number)
        if self._at_once:
            raise KeyboardInterrupt
        with contextlib.suppress(OSError):
            os.write(2, _NOTICE)  # print could be interrupted in the middle of itself

    def _restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())
