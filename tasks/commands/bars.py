"""Progress bars for several trainings at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tasks.events import Watch
from tasks.run import Run


@final
class Bars(Watch):
    """A progress bar for each training, by its part's name; silent where there is no terminal."""

    def __init__(self, names: Sequence[str], console: Console) -> None:
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TextColumn("{task.fields[stage]:<10}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self.bars = {name: self.progress.add_task(name, start=False, total=None, stage="waiting") for name in names}

    def __enter__(self) -> Bars:
        """Begin to draw."""
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        self.progress.stop()

    def event(self, part: str, what: str, numbers: Mapping[str, Any]) -> None:
        """Move the bar of a training."""
        bar = self.bars[part]
        if what == "begin":
            self.progress.start_task(bar)
            self.progress.update(bar, total=numbers["steps"], completed=numbers["done"], stage="training")
        elif what == "step":
            self.progress.update(bar, completed=numbers["done"])
        elif what == "attack":
            self.progress.update(bar, stage="attacking")
        else:
            self.progress.start_task(bar)
            self.progress.update(bar, total=1, completed=1, stage="done")
            self.progress.stop_task(bar)


@contextmanager
def bars_of(run: Run, names: Sequence[str]) -> Iterator[Bars]:
    """Draw bars for the parts of a run; an interrupt says how to go on.

    Raises:
        KeyboardInterrupt: as the body does, with what the user is told.
    """
    try:
        with Bars(names, Console(stderr=True)) as bars:
            yield bars
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped. What is done is kept; go on with: bilevel resume {run.path}") from None
