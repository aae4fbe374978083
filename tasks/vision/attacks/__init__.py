"""Attacks on image classifiers, as objects: what is attacked, how far, with what.

PGM, CW and a learned attacker return their *last* iterate, not the best on its way (as the papers measure); APGD,
Square, Random and AutoAttack the first that fools the model. A sample counts as robust if that image is classified
correctly. `Worst` combines attacks: a sample counts only if it stands against all.
"""

from tasks.vision.attacks.apgd import APGD
from tasks.vision.attacks.auto_attack import AutoAttack
from tasks.vision.attacks.base import Attack
from tasks.vision.attacks.frozen import FrozenClassifier
from tasks.vision.attacks.learned import Learned
from tasks.vision.attacks.losses import AttackLoss, CrossEntropy, Margin
from tasks.vision.attacks.names import named
from tasks.vision.attacks.presets import cw, fgsm, pgm
from tasks.vision.attacks.projected_gradient import PGM
from tasks.vision.attacks.random_search import Random
from tasks.vision.attacks.square import Square
from tasks.vision.attacks.targeted_apgd import TargetedAPGD
from tasks.vision.attacks.tau_search import TauSearch
from tasks.vision.attacks.transfer import Transfer
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.attacks.worst import Worst

__all__ = [
    "APGD",
    "PGM",
    "Attack",
    "AttackLoss",
    "AutoAttack",
    "CrossEntropy",
    "FrozenClassifier",
    "Learned",
    "Margin",
    "Random",
    "Square",
    "TargetedAPGD",
    "TauSearch",
    "Transfer",
    "Worst",
    "cw",
    "fgsm",
    "named",
    "pgm",
    "undisturbed",
]
