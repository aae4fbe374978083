"""A follower that learns how to answer, while the game is played."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch

from bilevel.errors import ConfigurationError
from bilevel.learned import MLP
from bilevel.play import FollowerFirst
from bilevel.solver import Solver
from tasks.toy.method import GameFactory, Method


@final
@dataclass(frozen=True)
class LearnedPlay(Method):
    r"""The leader takes gradient steps of size h, the follower's rule is a perceptron g_φ trained as they go.

    Each step φ moves to raise f(x, y) at its answer y, then the leader moves on the new answer; nothing is trained
    beforehand. φ moves by AdaGrad with the rate $c \sqrt{h}$.

    **Why it arrives on xy.** A follower that starts anew at each step answers $y = y_0 + g_\phi(x)$. Take g to be
    linear, $g = ax + b$, and φ = (a, b) to move by gradient steps of size η. One step is then

    $$a \leftarrow a + \eta x^2, \qquad b \leftarrow b + \eta x, \qquad x \leftarrow x - h (ax + b + y_0)$$

    With $a = 0$ these are the alternating gradient steps on $x (b + y_0)$: the bias is the other player,
    and both go round for ever. The *gain* a is what gradient play lacks, an answer to where x is *now*. Its own
    gradient is $x \cdot x$, so it never falls, and whatever it began at, it is driven above 0 as long as the game
    is not over. The linear map of $(x, b + y_0)$ has determinant $1 - ha$ and trace
    $2 - ha - h\eta$, so it contracts exactly if

    $$a > 0 \quad\text{and}\quad 2ha + h\eta < 4,$$

    by the factor $\sqrt{1 - ha}$ a step while it still turns. In the limit of small steps (η = κh) and with
    β = b + y₀, x² + β²/κ falls at the rate 2ax², and $\kappa x^2 + \beta^2 - a^2$ is conserved, so the gain
    ends at $\sqrt{\kappa x_0^2 + \beta_0^2 + a_0^2}$ if it ends above 0: convergence from every start. A
    control engineer would call it a proportional and integral controller that raises its own gain until it works.

    The perceptron is linear in x near the equilibrium (its kinks lie elsewhere), with $a = \partial g / \partial
    x$ there and $\eta = \langle \partial_\phi g, D\, \partial_\phi g \rangle$, D the rates of φ's coordinates.
    `local_map` measures both. AdaGrad makes D independent of the size of x, so that near and far starts learn alike,
    and as the gradients fade its rates settle at values above 0. (Adam's never settle: its steps keep the size of the
    rate, and x jitters with them.)

    **How far that holds** is measured from several starts, steps and seeds by ``benchmarks/limit_cycle.py``; the
    documentation's page on toy games has what it printed. It fails by too large a step (ha passes 2, and it runs away)
    and by too little time from far starts.

    **A follower that lives on** (``lives_on=True``) answers $y + g_\phi(y, x)$. Its bias is integrated twice, and
    without a bound on y it runs away. With a bound it mostly arrives, by another way: where y is held at the wrong end,
    φ learns to answer less where y is large; where y is held at the right end, φ has no gradient and learns nothing. So
    $\partial g / \partial y$ falls below 0, which damps. But a follower that overshoots the wrong end has no
    gradient either, and stays there while x runs away. Hence a follower that starts anew is the default.

    Args:
        name: its name.
        seed: of the rule's initial weights.
        hidden: units of the perceptron's hidden layers; ``()`` is a linear rule. It reads and moves each number of y
            alone, with the same weights for all, so that on `Bilinear` y follows a·Mᵀx and x shrinks by 1 - haMMᵀ.
        rate: c, positive.
        lives_on: whether the follower goes on from its last answer.
        bound: y is kept in [-bound, bound].

    Raises:
        ConfigurationError: if ``rate`` is not a positive finite number.

    Source: the rule is that of Jiang et al., ICLR 2020 submission, appendix C (8m, 4m, PReLU), which names the game in
    appendix D, but plays it with gradients only; the analysis is ours.
    """

    name: str = "learned"
    seed: int = 0
    hidden: tuple[int, ...] = (8, 4)
    rate: float = 0.6
    lives_on: bool = False
    bound: float = math.inf

    def __post_init__(self) -> None:
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ConfigurationError(f"The rule's rate must be a finite number above 0, got {self.rate}.")

    def solver(self, game: GameFactory, step: float) -> Solver[None]:
        """Return the two players, φ at its random initial values."""
        task = game(lives_on=self.lives_on, bound=self.bound)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(self.seed)
            rule = MLP(size=1, hidden=self.hidden).to(torch.float64)
        return Solver(
            task,
            rule,
            leader_optimizer=torch.optim.SGD([task.leader], lr=step),
            rule_optimizer=torch.optim.Adagrad(rule.parameters(), lr=self.rate * math.sqrt(step)),
            play=FollowerFirst(),
        )
