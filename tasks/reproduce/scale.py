"""How large the trainings of a reproduction are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

from tasks.vision.config import AITConfig, DROConfig
from tasks.vision.presets import AIT_PAPER, PAPER


@final
@dataclass(frozen=True)
class Scale:
    """The settings that all trainings of a reproduction share.

    Attributes:
        words: what they are, for people.
        base: those of adversarial training.
        interpolation: those of adversarial interpolation training.
        slim: what the slim attacker's trainings change.
        attacks: for each column of the papers' tables the attack, as `bilevel evaluate` takes it.
        recipes: what a learned attacker changes further, by the method's name.
        minutes: about how long a training and its attacks take on the machine that the scale is meant for.
    """

    words: str
    base: DROConfig
    interpolation: AITConfig
    slim: dict[str, Any]
    attacks: dict[str, str]
    minutes: float
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def learned(self, methods: Iterable[str]) -> list[dict[str, Any]]:
        """Return what each of ``methods`` changes of `base`; the attackers' networks are those of the scale."""
        return [{"method": method, **self.recipes.get(method, {})} for method in methods]

    @property
    def columns(self) -> dict[str, str]:
        """For each column the attack's name in the records."""
        return {column: "own attacker" if attack == "own" else attack for column, attack in self.attacks.items()}

    @property
    def substitutes(self) -> str:
        """A sentence that says by which attack a column is measured whose name is not the attack's."""
        said = [f"{column} by {attack}" for column, attack in self.attacks.items() if attack != column]
        return f"Measured here: {', '.join(said)}." if said else ""


_ATTACKS = {"AutoAttack": "AutoAttack", "PGM-20": "PGM-20", "PGM-100": "PGM-100"}

_SMALL: dict[str, Any] = {
    "depth": 10,
    "width": 1,
    "train_images": 10_000,
    "test_images": 400,
    "epochs": 10,
    "batch_size": 64,
    "schedule": "cosine",
    "warmup": 0.1,
    "attacker": "small",
    "attacker_width": 16,
    "attacker_depth": 2,
    "attacker_gradient": "sample-rms",
}

PAPER_SCALE = Scale(
    words="as the papers: WRN-34-10, all training images, 100 epochs",
    base=PAPER,
    interpolation=AIT_PAPER,
    slim={"attacker": "slim"},
    attacks={**_ATTACKS, "CW": "CW-search-100", "CW-100": "CW-100", "Random": "Random-100000", "own": "own"},
    minutes=24.0 * 60.0,
)

CPU_SCALE = Scale(
    words="small, for 2 cores: WRN-10-1, 10,000 training images, 10 epochs in batches of 64, 400 test images",
    base=replace(PAPER, **_SMALL, attacker_norm="eval", play="simultaneous"),
    interpolation=replace(AIT_PAPER, **_SMALL),
    slim={"attacker": "slim"},
    # The search behind the papers' CW would take longer than all other attacks together.
    attacks={**_ATTACKS, "CW": "CW-100", "Random": "Random-1000", "own": "own"},
    minutes=10.0,
    # Their steps by hand are corrected by a network of their own, which is smaller.
    recipes={
        method: {"attacker": None, "attacker_gradient": None, "reach": 1.25} for method in ("warm-l2l", "teacher-l2l")
    },
)

SCALES: Final[dict[str, Scale]] = {"cpu": CPU_SCALE, "paper": PAPER_SCALE}
"""Scales by name."""
