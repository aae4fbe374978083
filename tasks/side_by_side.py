"""The parts of a run, some at a time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from typing import Any, TypeAlias

from tasks.events import Channel, Watch, hand_on
from tasks.workers import Workers

Job: TypeAlias = tuple[Callable[..., bool], tuple[Any, ...]]
"""What does a part, and its arguments, behind which comes a channel for events; it returns whether it was finished."""


def side_by_side(
    jobs: Mapping[str, Job], *, workers: int, watch: Watch, finished: Callable[[str], None] | None = None
) -> None:
    """Do all of ``jobs``.

    Args:
        jobs: what is to be done, by the names of the parts.
        workers: how many are done at a time.
        watch: is told what happens.
        finished: is called in this process with the name of each part that is done, before ``watch`` hears of its end.

    Raises:
        BilevelError: what the first part raises that fails.
        WorkerError: if a process ended by itself.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when all parts that were going on have stopped.
    """
    if not jobs:
        return
    with Workers(multiprocessing.get_context("spawn"), workers) as pool:
        events: Channel = pool.queue()
        waiting = {pool.submit(work, *arguments, events): name for name, (work, arguments) in jobs.items()}
        while waiting:
            done, _ = wait(waiting, timeout=0.1)
            hand_on(events, watch)
            for future in done:
                pool.result(future)
                name = waiting.pop(future)
                if finished is not None:
                    finished(name)
                watch.event(name, "end", {})
