"""Curves of accuracy: against ε, and against the number of iterations."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

EPS, ITERATIONS = "eps", "iterations"


@final
@dataclass(frozen=True)
class Line:
    """One method's curve: the mean, lowest and highest robust accuracy over the seeds at each ``x``."""

    method: str
    kind: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@final
@dataclass(frozen=True)
class Panel:
    """The curves that belong into one plot.

    Attributes:
        curve: what the horizontal axis is: "eps" or "iterations", or any other name.
        attack: the attack; for a curve over iterations its name without the number of steps, and the radius.
        data: the data set and its part, where the records say; else "".
        lines: a curve a method.
    """

    curve: str
    attack: str
    data: str
    lines: tuple[Line, ...]


def panels(records: Iterable[dict[str, Any]]) -> list[Panel]:
    """Sort the curves' records into panels, those over ε first."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        if record.get("robust") is not None and record.get("x") is not None:
            curve, attack = str(record.get("curve", "")), str(record.get("attack") or "")
            if curve == ITERATIONS:  # "PGM-1", "PGM-2", ... are points of one curve
                attack = re.sub(r"[-\s]*\d+$", "", attack)
                attack += f", ε = {record['eps']:g}" if record.get("eps") is not None else ""
            data = ", ".join(str(record[field]) for field in ("data", "split") if record.get(field))
            groups[(curve, attack, data)].append(record)
    made = [Panel(curve, attack, data, _lines(group)) for (curve, attack, data), group in groups.items()]
    return sorted(made, key=lambda panel: (panel.curve != EPS, panel.curve, panel.attack, panel.data))


def _lines(records: list[dict[str, Any]]) -> tuple[Line, ...]:
    by_method: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    kinds = {}
    for record in records:
        by_method[record["method"]][float(record["x"])].append(float(record["robust"]))
        kinds[record["method"]] = record["kind"]
    lines = []
    for method, points in by_method.items():
        ordered = sorted(points.items())
        lines.append(
            Line(
                method,
                kinds[method],
                tuple(x for x, _ in ordered),
                tuple(statistics.fmean(values) for _, values in ordered),
                tuple(min(values) for _, values in ordered),
                tuple(max(values) for _, values in ordered),
            )
        )
    return tuple(lines)
