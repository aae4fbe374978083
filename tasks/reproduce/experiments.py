"""The tables and figures by name."""

from __future__ import annotations

from tasks.reproduce.epoch_time import EpochTime
from tasks.reproduce.experiment import Experiment
from tasks.reproduce.published import SLIM, TABLE2
from tasks.reproduce.white_box import WhiteBox

EXPERIMENTS: dict[str, Experiment] = {
    "table2": WhiteBox("Accuracy under white-box attacks (Table 2)", TABLE2),
    "table3": EpochTime("Seconds an epoch (Table 3)"),
    "slim": WhiteBox(
        "Slim attackers, accuracy under white-box attacks (Table 8 of the preprint)",
        SLIM,
        rows=("Naive L2L", "Grad L2L", "2-Step L2L"),
        slim=True,
    ),
}
"""What `bilevel reproduce` knows."""
