"""Results as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable

from tasks.report import summarise
from tasks.report.tables import Cell
from tasks.run import Run


def show(runs: Sequence[Run]) -> None:
    """Print the accuracies of ``runs`` and what to notice about them."""
    summary = summarise(runs)
    console = Console()
    for table in summary.tables:
        drawn = RichTable(title=table.caption, title_justify="left")
        for number, name in enumerate(table.header):
            drawn.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0)
        for row in table.rows:
            drawn.add_row(*(_text(cell) for cell in row))
        console.print(drawn)
        console.print(table.note, highlight=False)
    for notice in summary.notices:
        console.print(f"- {notice.text}", highlight=False)


def _text(cell: Cell) -> str:
    text = f"{cell.text} {cell.error}".strip()
    return f"[bold]{text}[/bold]" if cell.best else text
