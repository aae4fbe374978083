"""What the masking check says about one item."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final


@final
class Verdict(enum.StrEnum):
    """What became of an item, the worst first."""

    WARNING = "warning"
    NOT_MEASURED = "not measured"
    NOT_DECIDABLE = "not decidable"
    PASSED = "passed"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Verdict).index(self)


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One item of the check.

    Attributes:
        finding: the item's short name, such as "athalye-2".
        item: what ought to hold.
        verdict: whether it does.
        text: what was found, with the numbers, or why nothing could be.
    """

    finding: str
    item: str
    verdict: Verdict
    text: str

    def record(self) -> dict[str, str]:
        """Return a flat record."""
        return {"finding": self.finding, "item": self.item, "verdict": str(self.verdict), "text": self.text}


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Return the findings ordered by verdict, within a verdict as they were."""
    return sorted(findings, key=lambda one: one.verdict.rank)
