"""What the runs hold, read once and made ready to be compared."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from bilevel.errors import ConfigurationError
from tasks.run import Run, RunError

LEARNED, HAND_WRITTEN = "learned", "hand-written"


@final
@dataclass(frozen=True)
class Training:
    """A table of metrics: ``columns[name]`` holds a number a row, NaN where the table has none.

    Attributes:
        run: the name of its run.
        name: what was trained: the part's name, or the run's.
        columns: the numbers.
    """

    run: str
    name: str
    columns: dict[str, list[float]]


@final
@dataclass(frozen=True)
class Picture:
    """A PNG file of a run."""

    run: str
    path: Path


@final
@dataclass(frozen=True)
class Material:
    """Everything that a report is made of.

    Attributes:
        names: the runs' names, each different.
        runs: the runs.
        results: the records of all runs; each has a ``kind``, the name of its ``run``, a method that means one thing
            only, and the ``folder`` of its run if that is one classifier's.
        curves: the curves' records, likewise.
        trainings: the tables of metrics.
        pictures: the runs' pictures.
    """

    names: list[str]
    runs: list[Run]
    results: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    trainings: list[Training]
    pictures: list[Picture]


def gather(runs: Sequence[Run]) -> Material:
    """Read the runs. The same folder named twice counts once.

    A method of the same name and seed in two runs is two things: each is then called ``method (run)``.

    Raises:
        ConfigurationError: if there are no runs, or a result is out of its range.
        RunError: if a file is damaged, or the runs hold nothing to report.
    """
    different = list({run.path.resolve(): run for run in runs}.values())
    if not different:
        raise ConfigurationError("a report needs at least one run; name its folder")
    names = _names(different)
    results, curves = [run.results() for run in different], [run.curves() for run in different]
    ambiguous = _ambiguous(results)
    material = Material(
        names=names,
        runs=different,
        results=[
            _checked(record, run, name, ambiguous)
            for run, name, records in zip(different, names, results, strict=True)
            for record in records
        ],
        curves=[
            _checked(record, run, name, ambiguous)
            for run, name, records in zip(different, names, curves, strict=True)
            for record in records
        ],
        trainings=[table for run, name in zip(different, names, strict=True) for table in _trainings(run, name)],
        pictures=[
            Picture(name, path)
            for run, name in zip(different, names, strict=True)
            # The examples come first: they are what a reader looks for.
            for path in sorted(run.figures.glob("*.png"), key=lambda p: (not p.name.startswith("examples"), p.name))
        ],
    )
    if not (material.results or material.curves or material.trainings or material.pictures):
        raise RunError(f"{', '.join(names)}: nothing to report yet: no results, curves, metrics or figures")
    return material


def _names(runs: Sequence[Run]) -> list[str]:
    short = [run.name for run in runs]
    counts = Counter(short)
    return [
        f"{run.path.resolve().parent.name}/{name}" if counts[name] > 1 else name
        for run, name in zip(runs, short, strict=True)
    ]


def _ambiguous(results: Sequence[list[dict[str, Any]]]) -> set[Any]:
    fields = ("task", "data", "split", "method", "seed")
    sets = [{tuple(record.get(field) for field in fields) for record in records} for records in results]
    return {key[3] for key, times in Counter(key for keys in sets for key in keys).items() if times > 1}


def _checked(record: dict[str, Any], run: Run, name: str, ambiguous: set[Any]) -> dict[str, Any]:
    for field in ("clean", "robust"):
        value = record.get(field)
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ConfigurationError(f"{run.path}: a result has {field} = {value!r}; an accuracy lies in [0, 1]")
    method = str(record.get("method", name))
    kinds = (
        record.get("kind"),
        run.config.get("kind"),
        LEARNED if method == LEARNED or method.endswith("-l2l") else HAND_WRITTEN,
    )
    kind = next(kind for kind in kinds if kind in {LEARNED, HAND_WRITTEN})
    method = f"{method} ({name})" if record.get("method") in ambiguous else method
    # A run of one classifier can be evaluated again, by its folder.
    folder = {"folder": str(run.path)} if run.config.get("task") in {"dro", "ait"} else {}
    return record | {"kind": kind, "method": method, "run": name} | folder


def _trainings(run: Run, name: str) -> list[Training]:
    tables = [Training(name, name, _columns(run.metrics))] if run.metrics.is_file() else []
    for path in sorted((run.path / "parts").glob("*/metrics.csv")):
        tables.append(Training(name, path.parent.name, _columns(path)))  # noqa: PERF401 (reads as two sources)
    return [table for table in tables if table.columns]


def _columns(path: Path) -> dict[str, list[float]]:
    """Read the columns of numbers; a table of no rows has none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    names = [name for name in (rows[0] if rows else {}) if name]
    columns = {name: [_number(row.get(name)) for row in rows] for name in names}
    return {name: values for name, values in columns.items() if not all(math.isnan(value) for value in values)}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
