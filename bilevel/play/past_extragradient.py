"""Past extragradient: extragradient that looks ahead along the gradients of the last step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from bilevel.places import excursion
from bilevel.play.base import Moves, Play
from bilevel.play.memory import copied, field_from, recalled
from bilevel.play.requirements import require_excursions, require_one_update

if TYPE_CHECKING:
    from bilevel.solver import Solver


@final
@dataclass(frozen=True)
class PastExtragradient(Play):
    r"""Extragradient with one gradient evaluation: the last one serves to look ahead.

    $$\bar w_t = w_t - \eta F(\bar w_{t-1}), \qquad w_{t+1} = w_t - \eta F(\bar w_t)$$

    with w and F as in `Extragradient`. At the first step, and at the first of each episode, there is no past:
    $\bar w_0 = w_0$, and the step is one of simultaneous play.

    With plain gradient steps of one size the points $\bar w_t$ follow the recursion of `Optimistic`, begun with
    $F(\bar w_{-1}) = 0$; where F is affine, the $w_t$ are its iterates. With other optimizers, rules or feasible sets
    the two plays differ. The states of the optimizers and of the rule advance once a step, as in `Extragradient`.

    Cost: 1 gradient evaluation a step; memory of one field, and copies of the players and their optimizers' states
    while a step lasts. The losses in the record are those at $\bar w_t$.

    Source: Popov 1980; Gidel et al. 2019, "A variational inequality perspective on GANs" (extrapolation from the past).
    """

    def check(self, solver: Solver[Any]) -> None:
        """Refuse a leader whose moves cannot be taken back, and several updates of a follower that lives on."""
        require_excursions(self, solver)
        require_one_update(self, solver)

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Look ahead along the past, come back and move; the state is the field that was seen."""
        past = recalled(solver, state)
        if past is None:
            ahead = solver.field(batch)
        else:
            way = field_from(solver, batch, past)
            with excursion(solver):
                solver.move(batch, way, learn=False)
                ahead = solver.field(batch)
        vector = copied(ahead.vector)
        return dataclasses.replace(solver.move(batch, ahead), state=vector)
