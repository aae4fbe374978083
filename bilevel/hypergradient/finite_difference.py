"""The leader differentiates through the follower's last move by two first-order passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from bilevel.hypergradient.base import Hypergradient, LeaderGradient, require_dependence, total
from bilevel.hypergradient.passes import follower_slope, kept_buffers
from bilevel.inner import InnerProblem
from bilevel.leader import frozen
from bilevel.linear.system import check_positive
from bilevel.rng import RandomSources
from bilevel.rollout import Move, Rollout
from bilevel.rules.protocol import State, sees_gradient
from bilevel.tree import Tree, as_leaves, asking, detach, filled, leaves, norms, replace_leaves, tree_map


@final
@dataclass(frozen=True)
class FiniteDifference(Hypergradient):
    r"""The derivative through the last update, its second derivatives replaced by a central difference.

    $$\frac{\partial \ell}{\partial \theta} +
    \frac{\partial_\theta q(\theta, z_{K-1} + e w) - \partial_\theta q(\theta, z_{K-1} - e w)}{2e}, \qquad
    w = \Big(\frac{\partial z_K}{\partial G}\Big)^{\!\top} \frac{\partial \ell}{\partial z_K}, \quad
    e = \frac{\epsilon}{|w|}$$

    G is the gradient that the last update $z_K = \Pi(z_{K-1} + g(z_{K-1}, G, s))$ saw; $z_{K-1}$ and s are constants.
    For a gradient step of size η, where $w = -\eta\, \partial\ell/\partial z$, this is the formula of DARTS, with
    $z_{K-1}$ its weights and ``steps=1``.

    It is `Truncated` (1) up to an error of the order of ε²: exactly, but for rounding, if $\partial_\theta q$ is at
    most quadratic in z; halving ε divides the error by 4 otherwise. The difference amplifies rounding by 1/ε. θ in the
    rule or in the projection is differentiated exactly; θ in the start is not seen.

    The cost is one pass for ∂ℓ/∂θ and w together, and two gradients $\partial_\theta q$, taken where the follower
    is displaced by ε (which may be outside its feasible set). No memory beyond that of one pass.

    Args:
        epsilon: the length ε > 0 of the displacement, in the units of z.

    Raises:
        ConfigurationError: if it is no finite number above 0.

    Source: Liu, Simonyan and Yang 2019, Eq. 7 and 8.
    """

    epsilon: float = 0.01
    needs_moves: ClassVar[bool] = True
    needs_graph: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive("FiniteDifference's epsilon", self.epsilon)

    def roll_out(self, problem: InnerProblem, start: Tree, state: State, **settings: Any) -> Rollout:
        """Let the follower move, the last time with the graph to the gradient that it sees."""
        steps, keep = settings["steps"], settings.get("keep")
        settings |= {"steps": steps - 1, "keep": None if keep is None else max(keep - 1, 0)}
        earlier = problem.roll_out(start, state, **settings)
        z = earlier.answer if steps > 1 else detach(start)
        loss, gradient = earlier.loss, tree_map(torch.zeros_like, z)
        if sees_gradient(problem.rule):
            first = settings.get("first") if steps == 1 else None
            loss, gradient = first or problem.gradient(z)
            gradient = as_leaves(gradient)
        with torch.enable_grad(), frozen(problem.resting):
            answer, after = problem.move(z, gradient, earlier.state)
        moves = (*earlier.moves, Move(z, earlier.state, gradient))
        return Rollout(problem, start, state, answer, after, loss, steps, moves, fresh=earlier.fresh)

    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return the difference quotient and what it is added to; the graph of the last update is freed."""
        problem, last = rollout.problem, rollout.moves[-1]
        answer = asking(rollout.answer)
        seen = leaves(last.gradient) if sees_gradient(problem.rule) else []
        places = leaves(answer) if problem.task.remembers else []
        wanted = [*problem.moved, *seen, *places]
        with torch.enable_grad():
            loss = problem.leader_loss(answer)
        found: tuple[Tensor | None, ...] = (None,) * len(wanted)
        if loss.requires_grad:
            found = torch.autograd.grad(loss, wanted, allow_unused=True)
        count = len(problem.moved)
        gradient, weights, behind = found[:count], found[count : count + len(seen)], found[count + len(seen) :]
        if any(w is not None for w in weights):
            gradient = total(gradient, self._difference(problem, detach(last.z), filled(weights, seen)))
        require_dependence(gradient, rollout, through_answer=True)
        slopes = replace_leaves(answer, filled(behind, places)) if places else None
        return LeaderGradient(loss.detach(), gradient, slopes)

    def _difference(self, problem: InnerProblem, z: Tree, weights: list[Tensor]) -> tuple[Tensor | None, ...]:
        r"""Return $\partial_\theta \partial_z q\; w$, approximately."""
        (length,) = norms(weights)
        # For w = 0 the two points are one, and the difference is exactly 0.
        unit = torch._foreach_div(weights, torch.where(length == 0, torch.ones_like(length), length))  # noqa: SLF001
        sources = RandomSources()
        random = sources.capture()
        sides = []
        with kept_buffers(problem):
            for way in (self.epsilon, -self.epsilon):
                sources.restore(random)  # a loss with random parts is the same one on both sides
                point = replace_leaves(z, list(torch._foreach_add(leaves(z), unit, alpha=way)))  # noqa: SLF001
                sides.append(follower_slope(problem, point))
        scale = length / (2 * self.epsilon)
        return tuple(
            None if a is None or b is None else (a - b) * scale.to(a.dtype) for a, b in zip(*sides, strict=True)
        )
