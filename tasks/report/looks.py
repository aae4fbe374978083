"""One look for each method, the same in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.report.drawing.style import Style, styles
from tasks.report.lines import Panel
from tasks.report.material import HAND_WRITTEN, LEARNED, Material, Training
from tasks.report.methods import Setting


def looks_of(compared: Sequence[Setting], curves: Sequence[Panel], material: Material) -> dict[str, Style]:
    """Give each method one look for all figures, in the order of training time."""
    methods = [method for setting in compared for method in setting.methods]
    methods.sort(key=lambda method: method.seconds or 0.0)
    named = [(method.name, method.kind) for method in methods]
    named += [(line.method, line.kind) for panel in curves for line in panel.lines]
    known = dict(named)
    named += [
        (training.name, LEARNED if "l2l" in training.name else HAND_WRITTEN)
        for training in named_trainings(material)
        if training.name not in known
    ]
    return styles(named)


def named_trainings(material: Material) -> list[Training]:
    """Name the trainings by their methods: a part "pgm-10-seed-0" by "pgm-10", a run of one method by that."""
    methods: dict[str, set[str]] = {}
    for record, name in ((record, record["method"]) for record in material.results):
        methods.setdefault(record.get("run", ""), set()).add(name)
    names = sorted(set().union(*methods.values()) if methods else set(), key=len, reverse=True)
    result = []
    for training in material.trainings:
        own = methods.get(training.run, set())
        if training.name == training.run and len(own) == 1:
            name = next(iter(own))
        else:
            name = next((m for m in names if training.name == m or training.name.startswith((f"{m}-", f"{m}_"))), "")
        result.append(replace(training, name=name or training.name))
    return result
