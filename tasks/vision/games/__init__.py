"""What a classifier and the images that it is shown play for."""

from tasks.vision.games.base import Game
from tasks.vision.games.feature_losses import Away, FeatureLoss, Towards
from tasks.vision.games.interpolation import Interpolation, InterpolationTraining
from tasks.vision.games.mixed import Mixed, MixedRobustClassification
from tasks.vision.games.pairings import Pairing, RandomOther, Reversed
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.games.robust import Robust, RobustClassification
from tasks.vision.games.terms import Terms
from tasks.vision.games.trades import Trades, TradesClassification

__all__ = [
    "Away",
    "FeatureLoss",
    "Game",
    "Interpolation",
    "InterpolationTraining",
    "Mixed",
    "MixedRobustClassification",
    "Pairing",
    "PerturbedImages",
    "RandomOther",
    "Reversed",
    "Robust",
    "RobustClassification",
    "Terms",
    "Towards",
    "Trades",
    "TradesClassification",
]
