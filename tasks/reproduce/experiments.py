"""The tables and figures by name."""

from __future__ import annotations

from tasks.reproduce.black_box import BlackBox
from tasks.reproduce.curves import Curves
from tasks.reproduce.epoch_time import EpochTime
from tasks.reproduce.examples import Examples
from tasks.reproduce.experiment import Experiment
from tasks.reproduce.frontier import Frontier
from tasks.reproduce.interpolation import AdversarialInterpolation
from tasks.reproduce.masked import Masked
from tasks.reproduce.published import SLIM, TABLE2
from tasks.reproduce.white_box import WhiteBox

EXPERIMENTS: dict[str, Experiment] = {
    "table2": WhiteBox("Accuracy under white-box attacks (Table 2)", TABLE2),
    "table3": EpochTime("Seconds an epoch (Table 3)"),
    "table4": AdversarialInterpolation("Adversarial interpolation, and what AutoAttack makes of it (Table 4)"),
    "blackbox": BlackBox("Accuracy under black-box attacks (Tables 4 to 6 of the preprint)"),
    "slim": WhiteBox(
        "Slim attackers, accuracy under white-box attacks (Table 8 of the preprint)",
        SLIM,
        rows=("Naive L2L", "Grad L2L", "2-Step L2L"),
        slim=True,
    ),
    "frontier": Frontier("Robust accuracy against training time, every attacker"),
    "frontier-large": Frontier("Robust accuracy against training time at a large radius, 16/255", {"eps": 16 / 255}),
    "frontier-mnist": Frontier(
        "Robust accuracy against training time on MNIST at 0.3, every attacker",
        {"eps": 0.3, "model": "small", "width": 16, "depth": None, "epochs": 5},
        data=("mnist",),
        but="a CNN of 16, 32 and 32 channels and 5 epochs",
    ),
    "curves": Curves("Robust accuracy against radius and iterations (Figure 3; Figure 9 of the preprint)"),
    "examples": Examples("Perturbed images (Figures 4 and 5)"),
    "masking": Masked("Do the defences only look robust? (checklists of the preprint's Appendix E)"),
}
"""What `bilevel reproduce` knows."""
