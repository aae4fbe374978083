"""What a user sees while training runs."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping
from typing import final

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

from bilevel.record import NUMBERS

_REFRESH = 0.1  # seconds


class Progress(abc.ABC):
    """Is told how training goes. A subclass of your own is a callback; it is called once a step and must be quick."""

    @abc.abstractmethod
    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        """Training begins.

        Args:
            title: the name of this training.
            epochs: how many epochs it has.
            steps: how many steps it has; ``None`` if that is not known.
            done: how many of them were taken before, by a run that is now resumed.
        """

    @abc.abstractmethod
    def advance(self, epoch: int) -> None:
        """A step of ``epoch`` (from 1) was taken."""

    @abc.abstractmethod
    def show(self, numbers: Mapping[str, float]) -> None:
        """These are the numbers of the last step that was fetched from the device, by the names of `Record`."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Training is over, well or not."""


@final
class Quiet(Progress):
    """Shows nothing."""

    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        """Show nothing."""

    def advance(self, epoch: int) -> None:
        """Show nothing."""

    def show(self, numbers: Mapping[str, float]) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Show nothing."""


@final
class Bar(Progress):
    """A bar with epoch, speed and losses.

    Args:
        outer: draw it there, as one bar of several, and leave starting and stopping to whoever made ``outer``
            (``rich.progress.Progress(*bilevel.progress.columns())``); ``None`` draws a bar of its own.
    """

    def __init__(self, outer: rich_progress.Progress | None = None) -> None:
        self._outer = outer
        self._progress = outer or rich_progress.Progress(*columns(), console=Console(stderr=True))
        self._task: rich_progress.TaskID | None = None
        self._epochs = 0
        self._taken = 0
        self._epoch, self._losses = 0, ""
        self._next = 0.0

    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        """Draw the bar."""
        self._epochs, self._taken, self._next = epochs, done, 0.0
        self._epoch, self._losses = 0, ""
        self._task = self._progress.add_task(title or "training", total=steps, completed=done)
        if self._outer is None:
            self._progress.start()

    def advance(self, epoch: int) -> None:
        """Count the step; the bar moves a few times a second."""
        self._taken += 1
        self._epoch = epoch
        if (now := time.monotonic()) >= self._next:
            self._next = now + _REFRESH
            self._draw()

    def show(self, numbers: Mapping[str, float]) -> None:
        """Show the losses, and numbers that no `Record` has, at the next move of the bar."""
        shown = {"leader": numbers.get("leader_loss"), "follower": numbers.get("follower_loss")}
        shown |= {name: number for name, number in numbers.items() if name not in {*NUMBERS, "seconds"}}
        self._losses = "  ".join(f"{who} {loss:.4g}" for who, loss in shown.items() if loss is not None)

    def stop(self) -> None:
        """Draw the last state, and let go of the terminal if the bar is its own."""
        self._draw()
        if self._task is not None:
            self._progress.stop_task(self._task)
        if self._outer is None:
            self._progress.stop()

    def _draw(self) -> None:
        epoch = f"epoch {self._epoch}/{self._epochs}" if self._epoch else ""
        if self._task is not None:
            self._progress.update(self._task, completed=self._taken, epoch=epoch, losses=self._losses)


def bar_on_terminal() -> Progress:
    """Return a bar if the standard error stream is a terminal, and something quiet otherwise."""
    return Bar() if Console(stderr=True).is_terminal else Quiet()


def columns() -> tuple[rich_progress.ProgressColumn, ...]:
    """Return the columns that a `Bar` fills; bars of other kinds may stand beside it."""
    return (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(bar_width=16),
        rich_progress.TaskProgressColumn(),
        _Field("epoch"),
        _Speed(),
        rich_progress.TimeRemainingColumn(elapsed_when_finished=True),
        _Field("losses"),
    )


@final
class _Field(rich_progress.ProgressColumn):
    """A field of the bar; empty where a bar has none."""

    def __init__(self, name: str) -> None:
        super().__init__(Column(no_wrap=True))
        self.name = name

    def render(self, task: rich_progress.Task) -> Text:
        return Text(str(task.fields.get(self.name, "")))


@final
class _Speed(rich_progress.ProgressColumn):
    """Steps a second."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: rich_progress.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g} steps/s", style="dim")
