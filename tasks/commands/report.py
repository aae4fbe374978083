"""A report of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import tyro

from tasks.commands.base import Command, require
from tasks.commands.summary import show
from tasks.report import write_report
from tasks.run import Run


@final
@dataclass(frozen=True)
class Report(Command):
    """Write tables and plots of one or many runs, as HTML and Markdown."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The folders of the runs."""

    out: Path | None = None
    """The HTML file to write; by default report.html in the folder of the first run."""

    title: str | None = None
    """The heading."""

    def run(self) -> None:
        """Write it, and show the tables."""
        require(bool(self.folders), "Name at least one run: bilevel report runs/NAME.")
        runs = [Run.open(folder) for folder in self.folders]
        show(runs)
        title = self.title or ", ".join(run.name for run in runs)
        print(f"Report: {write_report(runs, self.out or runs[0].path, title=title)}")
