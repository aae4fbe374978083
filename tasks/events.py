"""What happens in trainings that run in other processes, told as it happens."""

from __future__ import annotations

import abc
import queue
import time
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, final, runtime_checkable

from bilevel.progress import Progress

Event: TypeAlias = tuple[str, str, dict[str, Any]]
"""The part's name, what happened to it (begin, step, attack, end), and numbers."""


@runtime_checkable
class Channel(Protocol):
    """Carries events from the processes of the parts: a queue of any kind."""

    def put(self, event: Event) -> None:
        """Send ``event``."""
        ...

    def get_nowait(self) -> Event:
        """Return the next event; raise `queue.Empty` if there is none."""
        ...


class Watch(abc.ABC):
    """Is told what happens in a sweep."""

    @abc.abstractmethod
    def event(self, part: str, what: str, numbers: Mapping[str, Any]) -> None:
        """Part ``part`` did ``what``: begin, step, attack or end."""


def hand_on(events: Channel, watch: Watch) -> None:
    """Tell ``watch`` all events that have come."""
    while True:
        try:
            watch.event(*events.get_nowait())
        except queue.Empty:
            return


@final
class Reporter(Progress):
    """Sends the progress of a training to another process, a few times a second."""

    def __init__(self, name: str, events: Channel) -> None:
        self.name = name
        self.events = events
        self.taken = 0
        self._next = 0.0

    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        """Say how many steps there are."""
        self.taken = done
        self.events.put((self.name, "begin", {"steps": steps, "done": done}))

    def advance(self, epoch: int) -> None:
        """Count the step."""
        self.taken += 1
        if (now := time.monotonic()) >= self._next:
            self._next = now + 0.2
            self.events.put((self.name, "step", {"done": self.taken, "epoch": epoch}))

    def show(self, numbers: Mapping[str, float]) -> None:
        """Keep the numbers to itself."""

    def stop(self) -> None:
        """Say how far it came."""
        self.events.put((self.name, "step", {"done": self.taken}))
