"""What plays of second order share: both players' gradients at one point, with their graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, final

import torch
from torch import Tensor

from bilevel.field import Field, Vector
from bilevel.hypergradient.base import pack
from bilevel.inner import InnerProblem, follower_loss_name, loss_name, scalar
from bilevel.rollout import Rollout
from bilevel.task import Task
from bilevel.tree import Tree, as_leaves, filled, leaves, replace_leaves

if TYPE_CHECKING:
    from bilevel.solver import Solver

OTHER: Final = {"leader": "follower", "follower": "leader"}
"""Each player's opponent."""


@final
class SecondOrder:
    r"""The gradients of both losses where the players stand, to be differentiated once more.

    One forward pass serves both losses (`Task.losses`), unless the task has an ``inner_context`` for the follower's.
    Each product below is one backward pass over a graph that is made once, and that lives as long as this object.
    Second derivatives are taken to be symmetric, as those of twice continuously differentiable losses are: then a
    product with a block of the Jacobian from the right is a backward pass too.

    Args:
        solver: the players.
        batch: the batch.
        crossed: whether each loss is differentiated in the other player's place too, as `mixed` and `rotation` need.

    Attributes:
        field: both players' own gradients, without a graph.
        places: θ and z, as lists of tensors.
        zero_sum: whether q = -ℓ, in one pass.

    Raises:
        TaskError: if a loss is no scalar or does not depend on its player's place.
    """

    def __init__(self, solver: Solver[Any], batch: Any, *, crossed: bool) -> None:
        seen = solver.standing(batch)
        assert seen is not None  # `require_second_derivatives` refuses a follower that starts anew
        problem, task = seen.problem, seen.problem.task
        z = as_leaves(seen.answer)
        self.places = {"leader": list(problem.moved), "follower": leaves(z)}
        self.zero_sum = task.zero_sum and type(task).inner_context is Task.inner_context
        leader_loss, follower_loss = _losses(problem, z)
        both = ["leader", "follower"]
        leader = self._differentiate(leader_loss, both if crossed or self.zero_sum or task.remembers else both[:1])
        if self.zero_sum:
            follower = {player: [None if g is None else -g for g in part] for player, part in leader.items()}
        else:
            follower = self._differentiate(follower_loss, both if crossed else both[1:])
        self._gradients = {"leader": leader, "follower": follower}
        self.field = self._field(seen, z, leader_loss.detach(), follower_loss.detach())

    def pulled_back(self, vector: Vector) -> Vector:
        r"""Return $J^\top v$, J the Jacobian of $F = (\nabla_\theta \ell, \nabla_z q)$ in (θ, z)."""
        outputs = [*self._gradients["leader"]["leader"], *self._gradients["follower"]["follower"]]
        places = [*self.places["leader"], *self.places["follower"]]
        found = _product(outputs, [*vector["leader"], *vector["follower"]], places)
        count = len(self.places["leader"])
        return {"leader": found[:count], "follower": found[count:], "rule": []}

    def mixed(self, player: str, v: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return Dv, D the derivative of a player's own gradient in the other's place, v of the other's shapes."""
        return _product(self._gradients[player][OTHER[player]], v, self.places[player])

    def mixed_transposed(self, player: str, v: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return Dᵀv, D as in `mixed`, v of the player's own shapes."""
        return _product(self._gradients[player][player], v, self.places[OTHER[player]])

    def rotation(self, vector: Vector) -> Vector:
        r"""Return $A^\top v$, $A = \tfrac12 (J - J^\top)$: the blocks of each player's own curvature cancel in it."""
        found: dict[str, list[Tensor | None]] = {"rule": []}
        for player, other in OTHER.items():
            outputs = [*self._gradients[other][other], *self._gradients[player][other]]
            half = [None if g is None else 0.5 * g for g in vector[other]]
            weights = [*half, *(None if g is None else -g for g in half)]
            found[player] = _product(outputs, weights, self.places[player])
        return found

    def concerned(self, player: str) -> list[bool]:
        """Return for each tensor of a player's place whether a loss depends on it."""
        both = zip(*(gradients[player] for gradients in self._gradients.values()), strict=True)
        return [any(g is not None for g in one) for one in both]

    def _differentiate(self, loss: Tensor, players: Sequence[str]) -> dict[str, list[Tensor | None]]:
        """Return the gradient of ``loss`` in the places of ``players``, with its graph."""
        if not loss.requires_grad:
            return {player: [None] * len(self.places[player]) for player in players}
        places = [place for player in players for place in self.places[player]]
        gradients = iter(torch.autograd.grad(loss, places, create_graph=True, allow_unused=True))
        return {player: [next(gradients) for _ in self.places[player]] for player in players}

    def _field(self, seen: Rollout, z: Tree, leader_loss: Tensor, follower_loss: Tensor) -> Field:
        leader, follower = self._gradients["leader"], self._gradients["follower"]
        found = _detached([*leader["leader"], *(leader["follower"] if seen.problem.task.remembers else [])])
        slopes = _detached(follower["follower"])
        if all(g is None for g in slopes):
            seen.problem.gradient(seen.answer)  # which says that the loss does not depend on z
        gradient = pack(leader_loss, found, seen, seen.answer)
        return Field(seen, gradient, (follower_loss, replace_leaves(z, filled(slopes, self.places["follower"]))))


def _losses(problem: InnerProblem, z: Tree) -> tuple[Tensor, Tensor]:
    task, batch = problem.task, problem.batch
    if type(task).inner_context is Task.inner_context:
        leader_loss, follower_loss = task.losses(batch, z)
        return scalar(leader_loss, task, loss_name(task)), scalar(follower_loss, task, follower_loss_name(task))
    leader_loss = problem.leader_loss(z)
    with task.inner_context():
        return leader_loss, problem.follower_loss(z)


def _detached(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if g is None else g.detach() for g in gradients]


def _product(
    outputs: Sequence[Tensor | None], weights: Sequence[Tensor | None], places: Sequence[Tensor]
) -> list[Tensor | None]:
    r"""Return the gradient of $\sum_i \langle \text{output}_i, \text{weight}_i \rangle$ in ``places``."""
    pairs = [
        (o, w) for o, w in zip(outputs, weights, strict=True) if o is not None and w is not None and o.requires_grad
    ]
    if not pairs:
        return [None] * len(places)
    of, by = zip(*pairs, strict=True)
    return list(torch.autograd.grad(of, places, by, retain_graph=True, allow_unused=True))
