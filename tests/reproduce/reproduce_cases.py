"""A scale of one epoch on digits, and what is asked for at it."""

from __future__ import annotations

from dataclasses import replace

from tasks.events import Watch
from tasks.reproduce.experiment import Request
from tasks.reproduce.scale import Scale
from tasks.vision.presets import AIT_PAPER, PAPER

SMALL = {
    "model": "small", "width": 4, "epochs": 1, "attacker": "small", "train_images": 250, "validation_images": 40,
    "test_images": 40, "attacker_width": 4, "threads": 1,
}  # fmt: skip
TINY = Scale(
    words="digits, one epoch",
    base=replace(PAPER, **SMALL),
    interpolation=replace(AIT_PAPER, **SMALL),
    slim={"attacker": "slim"},
    attacks={"PGM-20": "PGM-2", "own": "own"},
    minutes=0.01,
)
REQUEST = Request(TINY, "digits", None, seeds=(1, 2), workers=1)

ONE = replace(REQUEST, seeds=(1,))
AS_PRINTED = replace(ONE, data="cifar10")


class Heard(Watch):
    def __init__(self):
        self.ended = []

    def event(self, part, what, numbers):
        if what == "end":
            self.ended.append(part)
