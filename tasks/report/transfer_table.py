"""The matrix of transfers as a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report.estimate import Estimate
from tasks.report.notices import percent
from tasks.report.tables import Cell, Table


def transfer_table(records: Sequence[Mapping[str, Any]], caption: str = "Accuracy in % under transfer") -> Table:
    """Return a row a target, a column a surrogate and attack, as in the preprint's Tables 4 to 6.

    Args:
        records: flat records of `tasks.vision.transfer_matrix.Transferred`; several of the same target and column are
            several seeds.
        caption: what the table shows.
    """
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    columns: dict[str, str] = {}
    for record in records:
        found[record["target"]][record["attack"]].append(record)
        columns.setdefault(record["attack"], _setting(record))
    clean = {target: next(iter(cells.values())) for target, cells in found.items()}
    rows = tuple(
        (Cell(target), _cell(clean[target], "clean"), *(_cell(cells.get(name, []), "robust") for name in columns))
        for target, cells in found.items()
    )
    counts = sorted({record["n"] for record in records})
    balls = sorted({f"ε = {record['eps']:g} ({record['norm']})" for record in records if record.get("eps") is not None})
    note = f"n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} images. " if counts else ""
    note += f"{', '.join(balls)}. " if balls else ""
    note += "Images are made against the surrogate and shown to the target. " + " ".join(columns.values())
    return Table(caption, ("target", "clean", *columns), rows, note.strip(), numeric=True)


def _cell(records: Sequence[Mapping[str, Any]], field: str) -> Cell:
    if not records:
        return Cell("–")
    estimate = Estimate(tuple(float(r[field]) for r in records), tuple(r.get("n") for r in records))
    error = "" if estimate.stderr is None else f"± {percent(estimate.stderr)}"
    spread = () if estimate.spread is None else (f"worst {percent(estimate.worst)}", f"sd {percent(estimate.spread)}")
    return Cell(percent(estimate.mean), spread, error)


def _setting(record: Mapping[str, Any]) -> str:
    steps, size, start = (record.get(name) for name in ("steps", "step_size", "start"))
    parts = [] if steps is None else [f"{steps} step{'s' if steps != 1 else ''}"]
    parts += [] if size is None else [f"of {size:.3g}"]
    parts += [] if start is None else [f"from {start}"]
    return f"{record['attack']}: {' '.join(parts)}." if parts else ""
