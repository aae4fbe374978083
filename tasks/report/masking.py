"""What the masking check found, for people: the worst first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report.notices import Notice, enumerated
from tasks.report.tables import Cell, Table

_ORDER = ("warning", "not measured", "not decidable", "passed")
_WARNING = _ORDER[0]


def masking_notices(records: Sequence[Mapping[str, Any]]) -> list[Notice]:
    """Say of which methods the masking check warns, and of which it does not; nothing without findings."""
    findings = _findings(records)
    warned = [method for method, rows in findings.items() if any(row["verdict"] == _WARNING for row in rows)]
    calm = [method for method in findings if method not in warned]
    result = []
    if warned:
        text = f"The masking check warns of {enumerated(warned)}: its section says why."
        result.append(Notice(text, True))
    if calm:
        text = f"The masking check found no sign of masked gradients in {enumerated(calm)}"
        result.append(Notice(f"{text}, as far as it could be measured."))
    return result


def masking_tables(records: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Make the table of findings: every item for one method; for several, how many of each kind, and the warnings."""
    findings = _findings(records)
    if not findings:
        return []
    if len(findings) == 1:
        (rows,) = findings.values()
        return [_items("The masking check, item by item", rows)]
    counts = tuple(
        (Cell(method), *(Cell(str(sum(row["verdict"] == verdict for row in rows))) for verdict in _ORDER))
        for method, rows in findings.items()
    )
    note = "How many of the items ended so; of several seeds, the worst counts."
    tables = [Table("The masking check", ("method", *_ORDER), counts, note, numeric=True)]
    warnings = tuple(
        (Cell(method), Cell(row["item"]), Cell(_text(row)))
        for method, rows in findings.items()
        for row in rows
        if row["verdict"] == _WARNING
    )
    if warnings:
        tables.append(Table("What it warns of", ("method", "what ought to hold", "what was found"), warnings))
    return tables


def _items(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    cells = tuple((Cell(row["verdict"]), Cell(row["item"]), Cell(_text(row)), Cell(row["finding"])) for row in rows)
    note = (
        "athalye: the five behaviours of Athalye, Carlini and Wagner 2018, section 3.1; carlini: the checklist of "
        "Carlini et al. 2019; the others are this library's."
    )
    return Table(caption, ("verdict", "what ought to hold", "what was found", "item"), cells, note)


def _text(row: Mapping[str, Any]) -> str:
    return f"{row['text']} (seed {row['seed']})" if row.get("several") else str(row["text"])


def _findings(records: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return for each method one row an item, that of the worst seed, the worst item first."""
    grouped: dict[str, dict[tuple[Any, ...], list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    radii = {record.get("eps") for record in records if record.get("finding") is not None}
    for record in records:
        if record.get("finding") is not None:
            name = str(record["method"]) + (f", ε = {record['eps']:g}" if len(radii) > 1 else "")
            grouped[name][(record["finding"],)].append(record)
    found = {}
    for method, items in grouped.items():
        worst = [(min(seeds, key=_rank), len(seeds) > 1) for seeds in items.values()]
        rows = [{**record, "several": several} for record, several in worst]
        found[method] = sorted(rows, key=_rank)
    return found


def _rank(record: Mapping[str, Any]) -> int:
    verdict = record.get("verdict")
    return _ORDER.index(verdict) if verdict in _ORDER else 0
