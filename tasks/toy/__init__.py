"""Small games with everything known about them: where gradient play cycles, a learned follower arrives."""

from tasks.toy import exact
from tasks.toy.bilinear import Bilinear, Xy
from tasks.toy.config import PAPER, PRESETS, ToyConfig
from tasks.toy.field import gradient_field
from tasks.toy.game import Game
from tasks.toy.learned_play import LearnedPlay
from tasks.toy.local_map import LocalMap, local_map
from tasks.toy.method import GameFactory, GradientPlay, Method
from tasks.toy.quadratic import Quadratic
from tasks.toy.trajectory import Trajectory, play
from tasks.toy.van_der_pol import VanDerPol

__all__ = [
    "PAPER",
    "PRESETS",
    "Bilinear",
    "Game",
    "GameFactory",
    "GradientPlay",
    "LearnedPlay",
    "LocalMap",
    "Method",
    "Quadratic",
    "ToyConfig",
    "Trajectory",
    "VanDerPol",
    "Xy",
    "exact",
    "gradient_field",
    "local_map",
    "play",
]
