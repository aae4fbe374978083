"""A table with one row an epoch."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import final

from bilevel.errors import ConfigurationError
from bilevel.loggers.base import Logger, Row


@final
class CSVLogger(Logger):
    """Writes a comma-separated table with a header; floats are written to the last digit.

    The file is whole after every row. A column that appears later is added at the right, and empty above.

    Args:
        path: the file, usually ``metrics.csv`` in the run's folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._columns: list[str] = []

    def start(self, last_step: int | None) -> None:
        """Begin the file, or take it up after ``last_step``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return
        if last_step is None:
            raise ConfigurationError(
                f"{self.path} is the log of an earlier run: resume that run or choose another folder."
            )
        self._columns, rows = self._read()
        self._write([row for row in rows if _stands(row, last_step)])

    def log(self, row: Row) -> None:
        """Append a row."""
        new = [name for name in row if name not in self._columns]
        values = {name: repr(value) for name, value in row.items()}
        if new:
            rows = self._read()[1] if self.path.exists() else []
            self._columns += new
            self._write([*rows, values])
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, lineterminator="\n").writerow(values)
            file.flush()
            os.fsync(file.fileno())  # the checkpoint that follows counts on it

    def close(self) -> None:
        """Do nothing: the file is closed between rows."""

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a crash may have cut the last row short
        reader = csv.DictReader(whole.splitlines())
        rows = [{name: value or "" for name, value in row.items() if name is not None} for row in reader]
        return list(reader.fieldnames or []), rows

    def _write(self, rows: list[dict[str, str]]) -> None:
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)


def _stands(row: dict[str, str], last_step: int) -> bool:
    """Whether a row is of ``last_step`` or earlier."""
    try:
        return int(row["step"]) <= last_step
    except (KeyError, ValueError):
        return False
