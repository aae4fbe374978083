"""The learned multistep rule: a secant method whose coefficients a small network sets anew at each update."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.learned.base import paired
from bilevel.learned.secants import INVARIANTS, geometry, invariants, least_squares
from bilevel.rules.module import ModuleRule
from bilevel.rules.protocol import State
from bilevel.tree import Tree, leaves, replace_leaves

_OPTIMISTIC: Final = (-0.3, 0.0, 0.0, -0.3, 0.0, 0.0, 0.0)
"""The coefficients before training: optimistic gradient steps of 0.3 τ."""


@final
class Multistep(ModuleRule):
    r"""Combine the gradient with the last changes of gradient and iterate; a network writes the coefficients.

    With F the gradient at z, the vector of *all* leaves, $\Delta F_i, \Delta z_i$ the changes of both from one update
    to the next, the latest first, and $\tau = |\Delta z_1| / |\Delta F_1|$ the length of a step that fits the field:

    $$u = \tau\,(c_1 F + c_2 \bar F + c_3\, \Delta F_1 + c_4\, \Delta F_2) + c_5 P + c_6\, \Delta z_1 + c_7\, \Delta
    z_2$$

    $$a = \operatorname{arg\,min}_a \Big| F - \sum_{i \le m} a_i\, \Delta F_i \Big|^2 + \lambda \sum_i a_i^2\,
    |\Delta F_i|^2, \qquad \bar F = F - \sum_i a_i\, \Delta F_i, \qquad P = \sum_i a_i\, \Delta z_i$$

    On an affine field $z - P$ has the gradient $\bar F$, what is left of F: Anderson's acceleration is $u = -P - \beta
    \bar F$, the optimistic gradient $u = -\eta (F + \Delta F_1)$; both are points of this family. The coefficients
    $c_1, \dots, c_7$ come from a GRU and a linear layer, which see cosines and ratios of lengths of these vectors
    (`bilevel.learned.secants.invariants`). So the rule commutes with every rotation of z, and after the first update,
    $u = -\text{probe} \cdot F$, with every change of the units of z and of F.

    It needs no step size and takes one gradient an update. It looks for a zero of the field F, as extragradient does,
    whatever kind of point that is. It stops where F is 0 to rounding, $|F| \min \tau \le 16\, \epsilon\, |z|$.

    A gradient that carries a graph is differentiated in its turn, as training through the whole play needs.

    Args:
        memory: m, at least 2.
        hidden: units of the GRU; 0 for no network, seven trained constants.
        probe: the length of the first step, in units of z over those of the gradient; positive.
        ridge: λ; positive.
        batched: whether the first axis of each leaf counts independent problems, each with a vector of its own.

    Raises:
        ConfigurationError: if one of them is out of its range.

    Source: the problem of Andrychowicz et al. 2016; Walker and Ni 2011 for the least squares. The combination is ours.

    Examples:
        >>> rule = Multistep()
        >>> z = {"x": torch.rand(3), "y": torch.rand(2)}
        >>> rule.update(z, rule.init(z), params=z)[0]["y"].shape
        torch.Size([2])
    """

    smooth_at_zero: ClassVar[bool] = True

    def __init__(
        self,
        memory: int = 8,
        hidden: int = 20,
        *,
        probe: float = 0.01,
        ridge: float = 1e-4,
        batched: bool = False,
    ) -> None:
        super().__init__()
        if memory < 2 or hidden < 0:
            raise ConfigurationError(
                f"Multistep got memory={memory} and hidden={hidden}; it needs at least 2 and at least 0"
            )
        for name, value in (("probe", probe), ("ridge", ridge)):
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"Multistep's {name} is {value}; it must be positive and finite")
        self.memory = memory
        self.hidden = hidden
        self.probe = probe
        self.ridge = ridge
        self.batched = batched
        self.coefficients = nn.Parameter(torch.tensor(_OPTIMISTIC))
        if hidden:
            self.cell = nn.GRUCell(INVARIANTS, hidden)
            self.head = nn.Linear(hidden, len(_OPTIMISTIC), bias=False)
            nn.init.zeros_(self.head.weight)

    @property
    def sees_gradient(self) -> bool:
        """``True``."""
        return True

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "memory": self.memory,
            "hidden": self.hidden,
            "probe": self.probe,
            "ridge": self.ridge,
            "batched": self.batched,
        }

    def init(self, params: Tree) -> State:
        """Return an empty memory, as tensors; the first axis of each counts problems (1 unless ``batched``)."""
        z = self._rows(leaves(params))
        problems, size = z.shape
        past = z.new_zeros(problems, self.memory, size)
        number = z.new_zeros(problems)
        return {
            "count": number.long(),
            "field": z.new_zeros(problems, size),
            "move": z.new_zeros(problems, size),
            "field_changes": past,
            "moves": past.clone(),
            "hidden": z.new_zeros(problems, self.hidden),
            # Logarithms of τ: the last, the smallest and the largest so far.
            "rate": number + math.log(self.probe),
            "least_rate": number + 1e3,
            "most_rate": number - 1e3,
        }

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return the updates and the next state.

        Raises:
            ConfigurationError: if ``params`` is missing, or the state belongs to a z of another size.
        """
        pairs = paired(self, params, grads)
        iterates = [z for z, _ in pairs]
        field = self._rows([g for _, g in pairs])
        if field.shape != state["field"].shape:
            raise ConfigurationError(
                f"Multistep got {list(field.shape)} numbers (problems, size) and a state of "
                f"{list(state['field'].shape)}: call init for a z of another shape"
            )
        move, after = self._move(field, state)
        # A field that is 0 to rounding tells nothing any more: the problem rests, and its state with it.
        size, place = torch.linalg.vector_norm(torch.stack([field, self._rows(iterates)]).detach(), dim=-1)
        rounding = 16 * torch.finfo(field.dtype).eps
        rests = (size * after["least_rate"].detach().exp() <= rounding * place) | (size == 0)
        after = {
            name: torch.where(rests.reshape(-1, *[1] * (new.ndim - 1)), state[name], new) for name, new in after.items()
        }
        return replace_leaves(grads, self._cut(torch.where(rests[:, None], 0, move), iterates)), after

    def _move(self, field: Float[Tensor, "problems size"], state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the updates and the next state of problems that do not rest."""
        m, count = self.memory, state["count"]
        begun = count[:, None] > 0
        # The first update has nothing to compare with: its change is 0 and does not count.
        change = torch.where(begun, field - state["field"], 0)
        changes = torch.cat([change[:, None], state["field_changes"][:, :-1]], dim=1)
        moves = torch.cat([state["move"][:, None], state["moves"][:, :-1]], dim=1)
        shape = geometry(torch.cat([field[:, None], changes, moves], dim=1))
        length = shape.lengths
        known = ~(shape.zero[:, 1] | shape.zero[:, 1 + m])
        rate = torch.where(known, length[:, 1 + m] - length[:, 1], state["rate"])
        least = torch.where(known, torch.minimum(state["least_rate"], rate), state["least_rate"])
        most = torch.where(known, torch.maximum(state["most_rate"], rate), state["most_rate"])
        live = torch.arange(m, device=field.device) < count[:, None]
        fit = least_squares(shape, live, self.ridge)
        weights = (fit.coefficients * (length[:, :1] - length[:, 1 : 1 + m]).exp())[:, None]
        proposal, explained = (weights @ moves)[:, 0], (weights @ changes)[:, 0]
        hidden = state["hidden"]
        if self.hidden:
            seen = invariants(
                shape,
                fit,
                proposed=geometry(proposal[:, None]).lengths[:, 0],
                before=geometry(state["field"][:, None]).lengths[:, 0],
                rate=rate,
                least=least,
                most=most,
                count=count.clamp(max=m).to(field.dtype),
            )
            hidden = torch.where(begun, self.cell(seen, hidden), 0)
        scaled, plain = torch.split(self._coefficients(hidden), [4, 3], dim=1)
        along = torch.stack([field, field - explained, changes[:, 0], changes[:, 1]], dim=1)
        move = ((scaled * rate.exp()[:, None])[:, None] @ along)[:, 0]
        move = move + (plain[:, None] @ torch.stack([proposal, moves[:, 0], moves[:, 1]], dim=1))[:, 0]
        move = torch.where(begun, move, -self.probe * field)
        after = {
            "count": count + 1,
            "field": field,
            "move": move,
            "field_changes": changes,
            "moves": moves,
            "hidden": hidden,
            "rate": rate,
            "least_rate": least,
            "most_rate": most,
        }
        return move, after

    def _coefficients(self, hidden: Float[Tensor, "problems hidden"]) -> Float[Tensor, "problems 7"]:
        if not self.hidden:
            return self.coefficients.expand(len(hidden), -1)
        corrections: Tensor = self.head(hidden)
        return self.coefficients + corrections

    def _rows(self, tensors: list[Tensor]) -> Float[Tensor, "problems size"]:
        """Return all tensors as one row a problem."""
        if not self.batched:
            return torch.cat([one.reshape(1, -1) for one in tensors], dim=1)
        if not tensors or any(one.ndim == 0 or len(one) != len(tensors[0]) for one in tensors):
            raise ConfigurationError(
                f"Multistep(batched=True) got z of shapes {[tuple(one.shape) for one in tensors]}; the first axis of "
                "each must count the same problems. Leave batched out if z is one problem."
            )
        return torch.cat([one.reshape(len(one), -1) for one in tensors], dim=1)

    def _cut(self, rows: Float[Tensor, "problems size"], like: list[Tensor]) -> list[Tensor]:
        """Return rows as tensors of the shapes of ``like``."""
        sizes = [one.numel() // len(rows) for one in like]
        return [part.reshape(one.shape) for part, one in zip(torch.split(rows, sizes, dim=1), like, strict=True)]
