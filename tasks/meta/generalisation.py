"""What a trained rule does with networks and horizons that it did not learn on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from bilevel.rules.module import ModuleRule
from tasks.meta.compare import Comparison, Tell
from tasks.meta.config import MetaConfig
from tasks.meta.contestants import method_of
from tasks.report.tables import Cell, Table
from tasks.run import Run

FURTHER: Final[dict[str, dict[str, Any]]] = {
    "as learned": {},
    "5 units": {"model": "perceptron", "hidden": (5,)},
    "80 units": {"model": "perceptron", "hidden": (80,)},
    "2 hidden layers": {"model": "perceptron", "hidden": (20, 20)},
    "3 hidden layers": {"model": "perceptron", "hidden": (20, 20, 20)},
    "no hidden layer": {"model": "logistic"},
    "tanh": {"activation": "tanh"},
    "sigmoid": {"activation": "sigmoid"},
    "elu": {"activation": "elu"},
    "convolutions": {"model": "convolutional", "hidden": (32,)},
}
"""Other networks, as changes of the configuration."""

AS_LEARNED: Final = "as learned"
"""The case that any rule fits."""

ADAM: Final = ("Adam",)

LONGER: Final = (3, 10)
"""Other horizons, as multiples of the one that was learned on."""


@final
@dataclass(frozen=True)
class Case:
    """A network and a number of updates."""

    name: str
    comparison: Comparison


def cases(config: MetaConfig, seeds: tuple[int, ...]) -> list[Case]:
    """Return what the rule of ``config`` is tried on; each with an optimizer tuned to that case.

    Args:
        config: what it learned on.
        seeds: a network each.
    """
    horizon = config.horizon
    found = [
        Case(name, Comparison(replace(config, groups=("*",), **changes), horizon, horizon, seeds, rivals=ADAM))
        for name, changes in FURTHER.items()
    ]
    return found + [
        Case(f"{n} x the updates", Comparison(config, n * horizon, horizon, seeds, rivals=ADAM)) for n in LONGER
    ]


def run_case(case: Case, run: Run, rule: ModuleRule, tell: Tell | None = None) -> list[dict[str, Any]]:
    """Return the records of a case; those that are in ``run`` already are not made again.

    Raises:
        ConfigurationError: if the rule does not fit the case's network.
        DivergenceError: if the optimizer beside it diverges at each of its rates.
    """
    method = method_of(case.comparison.config)
    return case.comparison.run(_part(case, run), {method: rule}, tell)


def records_of(case: Case, run: Run) -> list[dict[str, Any]]:
    """Return the records of a case that are in ``run``."""
    return _part(case, run).results()


def generalisation_table(found: Mapping[str, Sequence[Mapping[str, Any]]], method: str) -> Table:
    """Return a line a case: the rule beside Adam at its best rates there.

    Args:
        found: the records of each case; none for a network that the rule does not fit.
        method: the name of the rule's method in them.
    """
    rows = []
    for name, records in found.items():
        if not records:
            rows.append((Cell(name), *[Cell("–")] * 3, Cell("does not fit")))
            continue
        fields = ("adversarial_loss", "robust", "clean_loss", "clean")
        mine = [_mean(records, method, field) for field in fields]
        clean = [_mean(records, "Adam (best clean)", field) for field in fields]
        robust = [_mean(records, "Adam (best adversarial)", field) for field in fields]
        loss, best = mine[0], min((v for v in (clean[0], robust[0]) if v is not None), default=math.inf)
        verdict = "diverged" if loss is None else "better" if loss < best else "worse"
        if mine[3] is not None and mine[3] < 0.2:
            verdict = "does not learn"
        groups = (mine, clean, robust)
        cells = [Cell(_shown(*group)) for group in groups]
        rows.append((Cell(name), *cells, Cell(verdict)))
    note = (
        "Loss on adversarial test images at the end, and in brackets the accuracies on adversarial and on clean images "
        f"in %; means over the networks. All see clean images only. The rule is {method} as it was trained, on the "
        "first line's network. Adam's rate is the best of a grid for each line by itself, by the clean and by the "
        "adversarial loss. “Better” is a smaller adversarial loss than both of Adam's; “does not learn” is a clean "
        "accuracy below 20 %, “does not fit” a network none of whose weights match one of the rule's patterns."
    )
    header = ("network", "the rule", "Adam, best clean", "Adam, best adversarial", "the rule is")
    return Table("Beyond what the rule learned on", header, tuple(rows), note, numeric=True)


def _part(case: Case, run: Run) -> Run:
    return Run(run.part(case.name.replace(" ", "-")), {})


def _mean(records: Sequence[Mapping[str, Any]], method: str, field: str) -> float | None:
    own = [record for record in records if record["method"] == method]
    if not own or any(record["diverged"] is not None for record in own):
        return None
    return statistics.fmean(float(record[field]) for record in own)


def _shown(loss: float | None, robust: float | None, _: float | None, clean: float | None) -> str:
    if loss is None or robust is None or clean is None:
        return "–"
    return f"{loss:.3f} ({100 * robust:.1f}, {100 * clean:.1f})"
