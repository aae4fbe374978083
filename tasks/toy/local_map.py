"""The linear map that a learned rule and its leader are, near the equilibrium."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, optim

from bilevel.errors import ConfigurationError
from bilevel.leader import OptimizerUpdate
from bilevel.solver import Solver
from tasks.toy.bilinear import Xy


@dataclass(frozen=True)
class LocalMap:
    r"""One step of a learned follower that starts anew and its leader on `Xy`, near x = 0.

    $$\begin{pmatrix} x \\ \beta \end{pmatrix} \mapsto
    \begin{pmatrix} 1 - ha - h\eta & -h \\ \eta & 1 \end{pmatrix} \begin{pmatrix} x \\ \beta \end{pmatrix}$$

    Attributes:
        step: the leader's step size h.
        gain: a, the slope of the follower's answer in x at x = 0.
        rate: η, by how much one step of φ at x moves the answer, over x.
    """

    step: float
    gain: float
    rate: float

    @property
    def matrix(self) -> Tensor:
        """The map."""
        h, a, eta = self.step, self.gain, self.rate
        return torch.tensor([[1 - h * a - h * eta, -h], [eta, 1.0]], dtype=torch.float64)

    @property
    def radius(self) -> float:
        """The greatest absolute eigenvalue; below 1, it is the factor by which a step brings the players nearer."""
        return float(torch.linalg.eigvals(self.matrix).abs().max())


def local_map(solver: Solver[None]) -> LocalMap:
    r"""Measure the local map of a learned rule as it is now.

    The gain is a central difference over ±1e-7, and $\eta = \sum_i D_i (\partial g / \partial \phi_i)^2$
    with the rates D of φ's optimizer.

    Args:
        solver: a `LearnedPlay` on `Xy` that starts anew, after at least one step; the players are left as they are.

    Raises:
        ConfigurationError: if it is another.
    """
    game, update, optimizer = solver.task, solver.leader_update, solver.rule_optimizer
    if (
        not isinstance(game, Xy)
        or game.lives_on
        or not isinstance(update, OptimizerUpdate)
        or not isinstance(optimizer, optim.SGD | optim.Adagrad)
    ):
        raise ConfigurationError(
            "local_map is for a learned follower on Xy that starts anew at each step, trained by SGD or Adagrad."
        )
    distance, before = 1e-7, game.leader.detach().clone()
    try:
        answers = []
        for x in (distance, -distance):
            game.leader.data.fill_(x)
            answers.append(float(solver.answer_to(None).answer))
        game.leader.data.zero_()
        answer = solver.follow(None).answer
    finally:
        game.leader.data.copy_(before)
    rate = 0.0
    for group in optimizer.param_groups:
        slopes = torch.autograd.grad(answer, group["params"], retain_graph=True, allow_unused=True)
        for parameter, slope in zip(group["params"], slopes, strict=True):
            if slope is None:
                continue
            scale = torch.ones_like(slope)
            if isinstance(optimizer, optim.Adagrad):
                scale = optimizer.state[parameter]["sum"].sqrt() + group["eps"]
            rate += float((group["lr"] * slope.square() / scale).sum())
    step = float(update.optimizer.param_groups[0]["lr"])
    return LocalMap(step, (answers[0] - answers[1]) / (2 * distance), rate)
