"""The tables of results: methods against attacks, and against the frontier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from tasks.report.estimate import Estimate
from tasks.report.frontier import compare
from tasks.report.methods import AUTO_ATTACK, Method, Setting, frontier_of
from tasks.report.notices import percent
from tasks.report.upper_bounds import upper_bounds, without_auto_attack


@final
@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell.

    Attributes:
        text: the main text.
        notes: further lines, smaller.
        error: a standard error to go with the text.
        best: whether no other cell of the column is better.
    """

    text: str
    notes: tuple[str, ...] = ()
    error: str = ""
    best: bool = False


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        header: the names of the columns.
        rows: the cells, one a column.
        note: how to read it.
        numeric: whether all columns but the first hold numbers.
        learned: the numbers of the rows of learned methods.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    numeric: bool = False
    learned: frozenset[int] = field(default_factory=frozenset)


def main_table(setting: Setting) -> Table:
    """Make the table of one setting: AutoAttack, the strongest attack, clean, training time, each attack."""
    uneven = len({len(method.seeds) for method in setting.methods}) > 1
    timed = any(method.seconds is not None for method in setting.methods)
    several = len(setting.attacks) > 1
    columns: list[tuple[str, list[Cell]]] = [("method", [_name(method, uneven=uneven) for method in setting.methods])]
    leading = [attack for attack in setting.attacks if attack == AUTO_ATTACK]
    columns += [(a, _accuracies([m.attacks.get(a) for m in setting.methods], missing="not run")) for a in leading]
    if several:
        notes = [method.strongest_attack for method in setting.methods]
        columns.append(("strongest attack", _accuracies([m.strongest for m in setting.methods], notes)))
    attacks = [
        (attack, _accuracies([m.attacks.get(attack) for m in setting.methods]))
        for attack in setting.attacks
        if attack not in leading
    ]
    if not several:
        columns += attacks
    columns.append(("clean", _accuracies([method.clean for method in setting.methods])))
    if timed:
        columns.append(
            ("training, s", [Cell("–" if m.seconds is None else _seconds(m.seconds)) for m in setting.methods])
        )
    if several:
        columns += attacks
    return Table(
        caption=f"Accuracy in %: {setting.label}",
        header=tuple(name for name, _ in columns),
        rows=tuple(zip(*(cells for _, cells in columns), strict=True)),
        note=_reading(setting, several=several),
        numeric=True,
        learned=frozenset(i for i, method in enumerate(setting.methods) if method.learned),
    )


def _name(method: Method, *, uneven: bool) -> Cell:
    seeds = f"{len(method.seeds)} seed{'s' if len(method.seeds) > 1 else ''}"
    return Cell(method.name, (method.kind, seeds) if uneven else (method.kind,))


def _accuracies(
    estimates: Sequence[Estimate | None], notes: Sequence[str] | None = None, missing: str = "–"
) -> list[Cell]:
    means = [e.mean for e in estimates if e is not None]
    best = max(means) if len(means) > 1 else None
    cells = []
    for i, estimate in enumerate(estimates):
        if estimate is None:
            cells.append(Cell(missing))
            continue
        seeds = (
            [] if estimate.spread is None else [f"worst {percent(estimate.worst)}", f"sd {percent(estimate.spread)}"]
        )
        # Beside an attack's name there is one line for the seeds, so that every cell is as high as the others.
        lines = ([notes[i], ", ".join(seeds)] if seeds else [notes[i]]) if notes else seeds
        error = "" if estimate.stderr is None else f"± {percent(estimate.stderr)}"
        cells.append(Cell(percent(estimate.mean), tuple(lines), error, best=estimate.mean == best))
    return cells


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.3g}"


def _reading(setting: Setting, *, several: bool) -> str:
    counts = sorted({n for m in setting.methods for e in m.attacks.values() for n in e.counts if n})
    seeds = sorted({len(method.seeds) for method in setting.methods})
    missing = without_auto_attack(setting)
    said = [upper_bounds(missing, named=len(missing) < len(setting.methods))] if missing else []
    if several:
        said.append("“Strongest attack” is the lowest accuracy of each seed over its attacks; the attack named is the "
                    "one of the lowest mean.")  # fmt: skip
    if seeds[-1] > 1:
        number = " to ".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
        said.append(f"Over {number} seeds: the mean, the worst seed, and the standard deviation (sd).")
    if counts:
        images = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
        said.append(f"n = {images} images a seed. ± is one standard error of the mean: the binomial one"
                    + (", or sd/√seeds where that is larger." if seeds[-1] > 1 else "."))  # fmt: skip
    else:
        said.append("The number of images is not recorded, so no binomial standard error is given.")
    if len(setting.methods) > 1:
        said.append("The best of a column is bold.")
    said += [setting.settings[attack] for attack in setting.attacks if attack in setting.settings]
    return " ".join(said)


def frontier_table(setting: Setting) -> Table | None:
    """Make a table of how far each learned method lies above the frontier; ``None`` if nothing compares."""
    frontier, learned = frontier_of(setting)
    rows = []
    for verdict in compare(list(learned.values()), frontier):
        point, height = learned[verdict.name], frontier.at(learned[verdict.name].seconds)
        error = "" if verdict.stderr is None else f"± {percent(verdict.stderr)}"
        sign = "+" if verdict.margin > 0 else "−"
        rows.append(
            (
                Cell(verdict.name),
                Cell(f"{sign}{percent(abs(verdict.margin))}", error=error),
                Cell(verdict.words),
                Cell(percent(point.accuracy)),
                Cell(percent(height[0]) if height else "–"),
                Cell(_seconds(point.seconds)),
            )
        )
    if not rows:
        return None
    columns = ("learned method", "margin", "verdict", "accuracy", "frontier there", "training, s")
    note = (
        "Accuracies in %, under the strongest attack. The margin's standard error takes the accuracies as independent; "
        "that of the training times is not in it. “Above” and “below” mean by more than two standard errors."
    )
    return Table("Against the frontier of the hand-written methods", columns, tuple(rows), note, numeric=True)
