"""An attack that can be told to break its bounds, and remembers what it met."""

from __future__ import annotations

from tasks.vision.attacks import Attack
from tasks.vision.data import ImageBatch


class Shift(Attack):
    """Adds a number to all pixels, and says that it stays within 0.1."""

    def __init__(self, by: float) -> None:
        self.by = by
        self.met: list[ImageBatch] = []

    @property
    def name(self) -> str:
        return "Shift"

    def describe(self):
        return {"eps": 0.1, "norm": "linf"}

    def __call__(self, model, batch):
        self.met.append(batch)
        return batch.x + self.by
