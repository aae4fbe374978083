"""Extragradient: a look ahead, then a move from where the players stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from bilevel.places import excursion
from bilevel.play.base import Moves, Play
from bilevel.play.requirements import require_excursions, require_one_update

if TYPE_CHECKING:
    from bilevel.solver import Solver


@final
@dataclass(frozen=True)
class Extragradient(Play):
    r"""Both players move on the gradients of the point that simultaneous play would lead to.

    $$\bar w_t = w_t - \eta F(w_t), \qquad w_{t+1} = w_t - \eta F(\bar w_t)$$

    with $w = (\theta, z)$ and $F = (\nabla_\theta \ell, \nabla_z q)$; for a follower that starts anew on each batch
    $w = (\theta, \varphi)$. On a bilinear game a step multiplies the component of singular value σ by
    $\sqrt{1 - s^2 + s^4}$, $s = \eta\sigma$, which is below 1 for s < 1.

    Instead of a step $-\eta F$ any stock optimizer of the leader, and any rule of the follower, moves along the
    gradients. Both moves of a step begin at the same point and with the same states of the optimizers and of the rule;
    these advance once a step, with the second gradient. Both looks are at the same batch; what a task draws at random
    (a start, dropout) each of them draws anew, and running statistics see both.

    Cost: 2 gradient evaluations a step; copies of the players and their optimizers' states while it lasts. The losses
    in the record are those at $\bar w_t$.

    Source: Korpelevich 1976; with other optimizers Gidel et al. 2019, "A variational inequality perspective on GANs".
    """

    def check(self, solver: Solver[Any]) -> None:
        """Refuse a leader whose moves cannot be taken back, and several updates of a follower that lives on."""
        require_excursions(self, solver)
        require_one_update(self, solver)

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Look ahead, come back and move."""
        here = solver.field(batch)
        with excursion(solver):
            solver.move(batch, here, learn=False)
            ahead = solver.field(batch)
        return solver.move(batch, ahead)
