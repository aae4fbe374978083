"""Results as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tasks.report import summarise
from tasks.report.tables import Cell, Table
from tasks.run import Run


def show(runs: Sequence[Run]) -> None:
    """Print the accuracies of ``runs`` and what to notice about them."""
    summary = summarise(runs)
    for table in summary.tables:
        show_table(table)
    for notice in summary.notices:
        _console().print(f"- {notice.text}", highlight=False)


def show_table(table: Table) -> None:
    """Print a table and how to read it."""
    console = _console()
    console.print(_across(table) if len(table.rows) > 1 else _down(table))
    console.print(table.note, highlight=False)


def _console() -> Console:
    # Names are text: the extra in [brackets] is no markup, and the start in PGM-20:zero: no picture.
    console = Console(markup=False, emoji=False)
    # A file or a pipe has no width to keep to.
    return console if console.is_terminal else Console(markup=False, emoji=False, width=140)


def _across(table: Table) -> RichTable:
    """Return a line a method."""
    drawn = RichTable(title=table.caption, title_justify="left")
    for number, name in enumerate(table.header):
        drawn.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(_text, row))
    return drawn


def _down(table: Table) -> RichTable:
    """Return a line a number: a single method needs no width."""
    drawn = RichTable(title=table.caption, title_justify="left")
    first, *others = zip(table.header, *table.rows, strict=True)
    drawn.add_column(first[0])
    drawn.add_column(_text(first[1]), justify="right")
    for name, cell in others:
        drawn.add_row(name, _text(cell))
    return drawn


def _text(cell: Cell) -> Text:
    return Text(f"{cell.text} {cell.error}".strip(), style="bold" if cell.best else "")
