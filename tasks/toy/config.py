"""The configuration of a toy run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.play import FollowerFirst, LeaderFirst, Simultaneous
from tasks.toy.bilinear import Bilinear, Xy
from tasks.toy.game import Game
from tasks.toy.learned_play import LearnedPlay
from tasks.toy.method import GradientPlay, Method
from tasks.toy.quadratic import Quadratic
from tasks.toy.van_der_pol import VanDerPol

GameName: TypeAlias = Literal["xy", "bilinear", "quadratic", "van-der-pol"]
MethodName: TypeAlias = Literal["simultaneous", "leader-first", "follower-first", "learned", "learned-lives-on"]


@dataclass(frozen=True)
class ToyConfig:
    """Play a small game in several ways, side by side.

    Raises:
        ConfigurationError: if a setting is outside its range.
    """

    game: GameName = "xy"
    """The game min over x, max over y of f: xy; bilinear xᵀMy; quadratic xy + (a/2)x² - (b/2)y²; van-der-pol
    xy + ε(y²/2 - y⁴/4)."""
    x: tuple[float, ...] = (1.0,)
    """Where the leader starts; one number stands for all coordinates."""
    y: tuple[float, ...] = (0.0,)
    """Where the follower starts; one number stands for all coordinates."""
    step: float = 0.02
    """Step size h of the leader and of gradient steps by the follower. A turn of xy takes about 2π/h steps."""
    steps: int = 1000
    """Number of steps."""
    methods: tuple[MethodName, ...] = ("simultaneous", "leader-first", "follower-first", "learned")
    """Which ways to play: gradient steps by both (simultaneous, or in turn with either first), or a follower that
    learns to answer (starting anew at each step, or living on)."""
    strengths: tuple[float, ...] = (1.0, 0.5)
    """Singular values of M in the bilinear game; M is a random rotation of them, drawn by the seed."""
    price_x: float = 0.2
    """a, the leader's price in the quadratic game."""
    price_y: float = 0.2
    """b, the follower's price in the quadratic game."""
    epsilon: float = 0.2
    """ε in the van-der-pol game."""
    rate: float = 0.6
    """c: the learned rule's parameters are moved by AdaGrad with the rate c·√h."""
    hidden: tuple[int, ...] = (8, 4)
    """Units of the learned rule's hidden layers; none for a linear rule. Each number in y has the rule to itself."""
    bound: float = 2.0
    """The learned follower that lives on keeps y within [-bound, bound]; it needs a bound to converge."""
    seed: int = 0
    """Seed of the learned rule's initial weights and of M."""

    def __post_init__(self) -> None:
        """Refuse settings outside their range."""
        _check_known("game", [self.game], get_args(GameName))
        _check_known("method", self.methods, get_args(MethodName))
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ConfigurationError(f"methods must name at least one method, each once; got {list(self.methods)}.")
        _check_positive("strengths", *self.strengths)
        for name in ("step", "rate", "epsilon", "bound"):
            _check_positive(name, getattr(self, name))
        if self.steps < 1:
            raise ConfigurationError(f"steps must be at least 1, got {self.steps}.")
        if any(units < 1 for units in self.hidden):
            raise ConfigurationError(f"hidden must hold numbers of units from 1, got {list(self.hidden)}.")
        for name, start in (("x", self.x), ("y", self.y)):
            if len(start) not in {1, self.size} or not all(math.isfinite(value) for value in start):
                raise ConfigurationError(
                    f"{name} must be one finite number, or {self.size} of them in this game; got {list(start)}."
                )
        if "learned-lives-on" in self.methods and max(abs(value) for value in self.y) > self.bound:
            raise ConfigurationError(
                f"y = {list(self.y)} is outside the bound of {self.bound} that learned-lives-on keeps: raise bound."
            )
        self.make_game()  # which checks the rest

    @property
    def size(self) -> int:
        """How many numbers each player has."""
        return len(self.strengths) if self.game == "bilinear" else 1

    def make_game(self, *, lives_on: bool = True, bound: float = math.inf) -> Game:
        """Return the game with its players at their start."""
        x, y = self.x[0], self.y[0]
        if self.game == "bilinear":
            many_x, many_y = (start * self.size if len(start) == 1 else start for start in (self.x, self.y))
            return Bilinear(self._matrix(), many_x, many_y, lives_on=lives_on, bound=bound)
        if self.game == "quadratic":
            return Quadratic(x, y, a=self.price_x, b=self.price_y, lives_on=lives_on, bound=bound)
        if self.game == "van-der-pol":
            return VanDerPol(x, y, strength=self.epsilon, lives_on=lives_on, bound=bound)
        return Xy(x, y, lives_on=lives_on, bound=bound)

    def make_methods(self) -> list[Method]:
        """Return the ways to play, in the order in which they were named."""
        known: dict[MethodName, Method] = {
            "simultaneous": GradientPlay("simultaneous", Simultaneous()),
            "leader-first": GradientPlay("leader-first", LeaderFirst()),
            "follower-first": GradientPlay("follower-first", FollowerFirst()),
            "learned": LearnedPlay("learned", self.seed, self.hidden, self.rate),
            "learned-lives-on": LearnedPlay(
                "learned-lives-on", self.seed, self.hidden, self.rate, lives_on=True, bound=self.bound
            ),
        }
        return [known[name] for name in self.methods]

    def _matrix(self) -> Tensor:
        draw = torch.Generator().manual_seed(self.seed)
        left, right = (
            torch.linalg.qr(torch.randn(self.size, self.size, generator=draw, dtype=torch.float64)).Q for _ in range(2)
        )
        matrix: Tensor = left @ torch.diag(torch.tensor(self.strengths, dtype=torch.float64)) @ right
        return matrix


def _check_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for one in given:
        if one not in known:
            raise ConfigurationError(f"There is no {what} {one!r}; the known ones are {', '.join(known)}.")


def _check_positive(name: str, *values: float) -> None:
    if not values or not all(value > 0 and math.isfinite(value) for value in values):
        shown = values[0] if len(values) == 1 else list(values)
        raise ConfigurationError(f"{name} must be finite and above 0, got {shown}.")


PAPER = ToyConfig(step=1e-4, steps=62_832)
"""The paper's setting, one full turn of it: xy from (1, 0) with steps of 1e-4 (ICLR 2020 submission, appendix D)."""

PRESETS = {"default": ToyConfig(), "paper": PAPER}
"""Configurations by name."""
