"""Attacks on image classifiers, as objects: what is attacked, how far, with what.

An attack returns its *last* iterate, not the best on its way (as the papers measure), and a sample counts as robust
if that iterate is classified correctly. `Worst` combines attacks: a sample counts only if it stands against all.
"""

from tasks.vision.attacks.base import Attack
from tasks.vision.attacks.frozen import FrozenClassifier
from tasks.vision.attacks.learned import Learned
from tasks.vision.attacks.losses import AttackLoss, CrossEntropy, Margin
from tasks.vision.attacks.presets import cw, fgsm, named, pgm
from tasks.vision.attacks.projected_gradient import PGM
from tasks.vision.attacks.random_search import Random
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.attacks.worst import Worst

__all__ = [
    "PGM",
    "Attack",
    "AttackLoss",
    "CrossEntropy",
    "FrozenClassifier",
    "Learned",
    "Margin",
    "Random",
    "Worst",
    "cw",
    "fgsm",
    "named",
    "pgm",
    "undisturbed",
]
