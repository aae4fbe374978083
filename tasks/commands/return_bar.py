"""A progress bar with returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from rich import progress as rich_progress
from rich.console import Console

from bilevel.progress import Progress, columns


@final
class ReturnBar(Progress):
    """A bar of a training by rewards; silent where there is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = rich_progress.Progress(*columns(), console=console, disable=not console.is_terminal)
        self._task: rich_progress.TaskID | None = None

    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        """Draw the bar."""
        self._task = self._bar.add_task(title, total=steps, completed=done)
        self._bar.start()

    def advance(self, epoch: int) -> None:
        """Count the step."""
        if self._task is not None:
            self._bar.advance(self._task)

    def show(self, numbers: Mapping[str, float]) -> None:
        """Show the returns."""
        if self._task is not None:
            self._bar.update(self._task, losses="  ".join(f"{name} {value:.1f}" for name, value in numbers.items()))

    def stop(self) -> None:
        """Leave the last state on the screen."""
        self._bar.stop()
