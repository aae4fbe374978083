"""The rows of the papers' tables, as trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from tasks.vision.config import DROConfig

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""What changes nothing."""
DEFENCES: Final[dict[str, dict[str, Any]]] = {
    "Plain": {"method": "plain"},
    "Stability": {"method": "stability"},
    "FGSM Net": {"method": "fgsm"},
    "PGM Net": {"method": "pgm"},
    "Naive L2L": {"method": "naive-l2l"},
    "Grad-only L2L": {"method": "grad-only-l2l"},
    "2-Step Grad-only L2L": {"method": "2-step-grad-only-l2l"},
    "Grad L2L": {"method": "grad-l2l"},
    "2-Step L2L": {"method": "2-step-l2l"},
}
"""What a row's training changes of the settings that all rows share, by the row's name."""


def trainings(
    base: DROConfig, rows: tuple[str, ...], seeds: tuple[int, ...], *, attacker: Mapping[str, Any] = NOTHING
) -> dict[str, list[DROConfig]]:
    """Return the configurations of each of ``rows``, one a seed.

    Args:
        base: the settings that all rows share.
        rows: names of `DEFENCES`.
        seeds: the seeds.
        attacker: what the rows with a learned attacker change further. The others stay what they are in any table.
    """
    changes = {row: {**DEFENCES[row], **(attacker if row.endswith("L2L") else NOTHING)} for row in rows}
    return {row: [replace(base, seed=seed, **change) for seed in seeds] for row, change in changes.items()}
