"""Processes that work side by side, and do not outlive what they work for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from multiprocessing.managers import SyncManager
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, final

from bilevel.errors import BilevelError

_GRACE = 2.0  # seconds in which a worker that heard of Ctrl-C by itself ends
_PATIENCE = 30.0  # seconds for the end of a step and a checkpoint


class WorkerError(BilevelError):
    """A process ended by itself."""


@final
class Workers:
    """A pool of processes that is stopped by Ctrl-C and by SIGTERM, whoever gets the signal.

    When the body is left by an error or an interrupt, work that has not begun is dropped, and work that is going on is
    asked to stop by SIGTERM, which a training answers with a checkpoint. A process whose parent is gone ends.

    Args:
        context: how processes are made; they must not share memory with this one.
        count: how many there are.
    """

    def __init__(self, context: SpawnContext, count: int) -> None:
        self._manager = SyncManager(ctx=context)
        self._manager.start(_begin, (os.getpid(), _GRACE))
        self._stopping = self._manager.Event()
        others = set(multiprocessing.active_children())
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(os.getpid(),))
        self._others = others
        self._futures: list[Future[bool]] = []
        self._previous: Any = None

    def submit(self, work: Callable[..., bool], *arguments: Any) -> Future[bool]:
        """Have a process call ``work``, which returns whether it came to its end."""
        self._futures.append(self._pool.submit(_quietly, self._stopping, work, arguments))
        return self._futures[-1]

    def queue(self) -> Any:
        """Return a queue that may be handed to the processes."""
        return self._manager.Queue()

    def result(self, future: Future[bool]) -> None:
        """Wait for a piece of work.

        Raises:
            WorkerError: if its process ended by itself.
            KeyboardInterrupt: if it was stopped.
        """
        try:
            finished = future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                "A working process ended by itself, for want of memory perhaps. What is done is kept; go on with "
                "bilevel resume, or begin with fewer --workers."
            ) from error
        if not finished:
            raise KeyboardInterrupt

    def __enter__(self) -> Workers:
        """Take over SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop what is going on, if something went wrong, and end the processes."""
        try:
            if kind is not None:
                self._stop()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._manager.shutdown()
            if self._previous is not None:
                signal.signal(signal.SIGTERM, self._previous)

    def _stop(self) -> None:
        self._stopping.set()
        for future in self._futures:
            future.cancel()
        for seconds, number in ((_GRACE, signal.SIGTERM), (_PATIENCE, signal.SIGKILL)):
            running = [future for future in self._futures if not future.done()]
            wait(running, timeout=seconds)
            if all(future.done() for future in self._futures):
                return
            for process in self._processes():
                if process.pid is not None and process.is_alive():
                    os.kill(process.pid, number)

    def _processes(self) -> list[BaseProcess]:
        return [process for process in multiprocessing.active_children() if process not in self._others]


def _quietly(stopping: Any, work: Callable[..., bool], arguments: tuple[Any, ...]) -> bool:
    """Call ``work`` in a process of the pool; an interrupt ends it without a traceback."""
    try:
        return not stopping.is_set() and work(*arguments)
    except KeyboardInterrupt:
        return False


def _begin(parent: int, grace: float = 0.0) -> None:
    """Watch the parent from within a new process, and end ``grace`` seconds after it, when others are done."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        time.sleep(grace)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
