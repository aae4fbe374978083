"""The tables of what was run: the attacks, the settings, and results of other kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report.material import Material
from tasks.report.tables import Cell, Table


def attack_table(records: Sequence[Mapping[str, Any]]) -> Table | None:
    """Make a table that describes each attack; ``None`` if the records say nothing of them."""
    fields = [f for f in ("norm", "eps", "steps", "step_size", "start", "looks", "n") if any(f in r for r in records)]
    known = {
        (record["attack"], *(_value(record.get(field)) for field in fields)): None
        for record in records
        if record.get("attack") is not None and record.get("robust") is not None
    }
    if not fields or not known:
        return None
    rows = tuple(tuple(Cell(text) for text in row) for row in sorted(known))
    return Table("The attacks", ("attack", *(field.replace("_", " ") for field in fields)), rows)


def other_table(records: Sequence[Mapping[str, Any]]) -> Table | None:
    """Make a table of the records that are no accuracy under attack; ``None`` if there are none."""
    others = [
        record
        for record in records
        if (record.get("robust") is None or record.get("attack") is None) and record.get("finding") is None
    ]
    hidden = {"kind", "robust", "attack", "folder"} | (
        {"run"} if len({record["run"] for record in others}) == 1 else set()
    )
    columns = list(dict.fromkeys(key for record in others for key in record if key not in hidden))
    columns = [column for column in columns if any(record.get(column) is not None for record in others)]
    if not others or not columns:
        return None
    rows = tuple(tuple(Cell(_value(record.get(column))) for column in columns) for record in others)
    return Table("Other results" if len(others) < len(records) else "All results", tuple(columns), rows)


def configuration_tables(material: Material) -> list[Table]:
    """Make a table of the settings that all runs share, and one of those in which they differ."""
    flat = [_flattened(run.config) for run in material.runs]
    keys = [key for key in dict.fromkeys(key for config in flat for key in config) if key != "command"]
    shared = [key for key in keys if len({config.get(key, "–") for config in flat}) == 1]
    different = [key for key in keys if key not in shared]
    tables = []
    if different:
        rows = tuple((Cell(key), *(Cell(config.get(key, "–")) for config in flat)) for key in different)
        tables.append(Table("Settings in which the runs differ", ("setting", *material.names), rows))
    if shared:
        rows = tuple((Cell(key), Cell(flat[0].get(key, "–"))) for key in shared)
        title = "Settings" if len(flat) == 1 else "Settings that all runs share"
        tables.append(Table(title, ("setting", "value"), rows))
    return tables


def _flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= _flattened(value, f"{name}.")
        else:
            flat[name] = _value(value)
    return flat


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value) or "–"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
