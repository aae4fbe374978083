"""What networks became by each method, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.meta.contestants import BILEVEL, L2L, NOT, TRANSFER
from tasks.report.tables import Cell, Table

Record = Mapping[str, Any]

_IMAGES: Final = (
    "on test images at the end of {steps} updates; “on the way” over all of them. All methods see clean images only, "
    f"but for {L2L} and those on adversarial data. Rates are the best of a grid on validation images, by the loss that "
    "is named, with other networks. Passes are backward passes, those of attacks among them; seconds are those of the "
    "updates."
)
_FUNCTIONS: Final = (
    "on functions that no rule learned on, at the end of {steps} updates. Rates are the best of a grid on other "
    "functions. Passes are backward passes; seconds are those of the updates."
)
_METHODS: Final = {
    TRANSFER: f"{TRANSFER} and {L2L} are a rule that was shown what it was judged by, as in the paper.",
    BILEVEL: f"“{BILEVEL}” learned what it does here: to lower the adversarial loss by clean gradients.",
    NOT: f"{NOT} never saw an adversarial image.",
}


def comparison_table(records: Sequence[Record], caption: str, remark: str = "") -> Table:
    """Return a line a method, over its seeds: losses and accuracies at the end, the mean loss on the way, and costs.

    Args:
        records: of one comparison.
        caption: what it is about.
        remark: what else is to be said.
    """
    attacked = any("adversarial_loss" in record for record in records)
    fields = [("clean_loss", 3, 1.0)]
    header = ["method", "loss"]
    if attacked:
        fields = [("adversarial_loss", 3, 1.0), ("robust", 1, 100.0), *fields, ("clean", 1, 100.0)]
        fields.append(("mean_adversarial_loss", 3, 1.0))
        header = ["method", "adversarial loss", "adversarial, %", "clean loss", "clean, %", "adv. loss on the way"]
    rows = []
    for name in dict.fromkeys(str(record["method"]) for record in records):
        own = [record for record in records if record["method"] == name]
        cells = [_spread(own, field, digits, factor) for field, digits, factor in fields]
        rows.append(
            (_name(name, own), *cells, _rate(own), _cost(own), _spread(own, "seconds", 2, 1.0, deviation=False))
        )
    seeds = sorted({record["seed"] for record in records})
    note = _note(rows, len(seeds), records[0]["updates"], attacked=attacked)
    heads = (*header, "rate", "passes", "seconds")
    return Table(caption, heads, tuple(rows), f"{note} {remark}".strip(), numeric=True, learned=_learned(records, rows))


def _note(rows: Sequence[tuple[Cell, ...]], networks: int, steps: int, *, attacked: bool) -> str:
    """Return what is to be known of the numbers, and of the methods that are there."""
    over = f"Mean over {networks} networks with the standard deviation" if networks > 1 else "One network"
    names = {row[0].text for row in rows}
    words = [f"{over}, {(_IMAGES if attacked else _FUNCTIONS).format(steps=steps)}"]
    return " ".join(words + [said for name, said in _METHODS.items() if attacked and name in names])


def claim(records: Sequence[Record], mine: str = BILEVEL) -> str:
    """Return whether a method's mean adversarial loss is below that of every other that sees clean images only."""
    means = {
        name: statistics.fmean(found)
        for name in dict.fromkeys(str(record["method"]) for record in records)
        if "adversarial data" not in name and name != L2L and (found := _known(records, name, "adversarial_loss"))
    }
    if mine not in means or len(means) < 2:
        return ""
    best = min((name for name in means if name != mine), key=lambda name: means[name])
    below = "below" if means[mine] < means[best] else "not below"
    return f"The adversarial loss of “{mine}”, {means[mine]:.3f}, is {below} the next, {means[best]:.3f} of “{best}”."


def _known(records: Sequence[Record], method: str, field: str) -> list[float]:
    return [float(r[field]) for r in records if r["method"] == method and r.get(field) is not None]


def _name(name: str, own: Sequence[Record]) -> Cell:
    failed = sum(record["diverged"] is not None for record in own)
    return Cell(name, (f"{failed} of {len(own)} diverged",) if failed else ())


def _spread(own: Sequence[Record], field: str, digits: int, factor: float, *, deviation: bool = True) -> Cell:
    values = [factor * float(record[field]) for record in own if record.get(field) is not None]
    if not values:
        return Cell("–")
    error = f"± {statistics.stdev(values):.{digits}f}" if deviation and len(values) > 1 else ""
    return Cell(f"{statistics.fmean(values):.{digits}f}", error=error)


def _rate(own: Sequence[Record]) -> Cell:
    rate = own[0].get("rate")
    return Cell("–" if rate is None else f"{rate:g}")


def _cost(own: Sequence[Record]) -> Cell:
    return Cell(f"{statistics.fmean(record['passes'] for record in own):.0f}")


def _learned(records: Sequence[Record], rows: Sequence[tuple[Cell, ...]]) -> frozenset[int]:
    kinds = {record["method"]: record["kind"] for record in records}
    return frozenset(i for i, row in enumerate(rows) if kinds[row[0].text] == "learned")
