"""Measured accuracies beside printed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report.estimate import Estimate
from tasks.report.tables import Cell, Table
from tasks.reproduce.published import Published

NOT_PRINTED = "–"


def accuracy_table(
    caption: str,
    records: Sequence[Mapping[str, Any]],
    published: Published,
    rows: Mapping[str, str],
    columns: Mapping[str, str],
    *,
    remark: str = "",
) -> Table:
    """Return a table whose cells are "measured / printed", in per cent.

    Args:
        caption: what it shows.
        records: results of runs; those of other methods and attacks are passed over.
        published: what was printed.
        rows: for each row's name the method's name in the records.
        columns: for each column's name the attack's name in the records; "clean" is the accuracy without one.
        remark: what else is to be said of the measured numbers.
    """
    cells = []
    for row, method in rows.items():
        own = [record for record in records if record.get("method") == method]
        numbers = (_cell(own, attack, published.number(row, name)) for name, attack in columns.items())
        cells.append((Cell(row), *numbers))
    counts = sorted({(r["n"], len({q["seed"] for q in records})) for r in records if r.get("n")})
    size = f"n = {counts[-1][0]} images a seed, seeds: {counts[-1][1]}. " if counts else ""
    remark = f"{remark} " if remark else ""
    note = (
        f"Measured here / printed in {published.source}, in per cent. {size}Of several seeds: the mean, with its "
        f"standard error, and the worst. {remark}{published.doubt}"
    )
    return Table(caption, ("defence", *columns), tuple(cells), note.strip(), numeric=True)


def _cell(records: Sequence[Mapping[str, Any]], attack: str, printed: float | None) -> Cell:
    paper = NOT_PRINTED if printed is None else f"{printed:g}"
    found = _estimate(records, attack)
    if found is None:
        return Cell(f"{NOT_PRINTED} / {paper}")
    several = len(found.values) > 1
    error = "" if found.stderr is None else f"± {100 * found.stderr:.1f}"
    return Cell(f"{100 * found.mean:.1f} / {paper}", (f"worst {100 * found.worst:.1f}",) if several else (), error)


def _estimate(records: Sequence[Mapping[str, Any]], attack: str) -> Estimate | None:
    """Return the accuracy under an attack over the seeds; that without one is in every record of a seed."""
    field = "clean" if attack == "clean" else "robust"
    by_seed = {
        record["seed"]: (record[field], record.get("n"))
        for record in records
        if record.get(field) is not None and attack in {"clean", record.get("attack")}
    }
    if not by_seed:
        return None
    values, counts = zip(*by_seed.values(), strict=True)
    return Estimate(values, counts)
