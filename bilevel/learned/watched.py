"""A rule that is watched while it learns, so that it can be told why it does not."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from bilevel.counts import check_count
from bilevel.flat import flatten
from bilevel.rng import RandomSources
from bilevel.rules.composite import Composite
from bilevel.rules.module import ModuleRule
from bilevel.rules.protocol import Rule, State, smooth_at_zero
from bilevel.tree import Tree, detach, norms


@final
class Watched(Composite):
    r"""Let a rule move, and note how it fares, while it is in training mode.

    What is noted are means since `numbers` was called last:

    - ``update_to_weight``, $\sum_t \lVert u_t \rVert_2 / \sum_t \lVert z_t \rVert_2$: near 0 nothing moves, near 1
      nothing stays;
    - ``saturated_inputs``, the share of gradients that the preprocessing can no longer tell from smaller ones
      (`LogSign`, below $e^{-p}$): if it is near 1, the rule is blind;
    - ``saturated_gates``, the share of an LSTM's gates within a hundredth of an end of their range, through which no
      gradient of φ comes.

    Those of a rule of `Grouped` have its pattern before their names. The norm of φ's gradient is in every `Record`, and
    the share of gradients that were clipped is `bilevel.ClipNorm`'s to tell. The sums stay on their device: nothing
    waits for it but `numbers`. They are part of the state_dict, so that a resumed training logs the same.

        watched = Watched(rule)
        solver = Solver(task, watched, rule_optimizer=...)
        fit(solver, data, evaluate=watched.numbers, ...)
        save(watched.rule, path)

    Args:
        rule: the rule.
        every: after how many updates it is looked at, since looking at shares costs a part of an update.

    Raises:
        ConfigurationError: if ``every`` is no whole number from 1, or the rule does not speak the protocol.
    """

    def __init__(self, rule: Rule, *, every: int = 7) -> None:
        super().__init__([rule])
        check_count("Watched's every", every)
        self.every = every
        self._updates = 0
        self._looks = 0
        self._sums: dict[str, Tensor] = {}

    @property
    def rule(self) -> Rule:
        """The rule that is watched."""
        return self.rules[0]

    @property
    def smooth_at_zero(self) -> bool:
        """Whether the rule has a finite derivative at a zero gradient."""
        return smooth_at_zero(self.rule)

    def init(self, params: Tree) -> State:
        """Return the rule's state."""
        return self.rule.init(params)

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return the rule's updates and its next state."""
        updates, after = self.rule.update(grads, state, params=params, inplace=False)
        if self.training and params is not None:
            if self._updates % self.every == 0:
                self._look(detach(grads), detach(state), detach(params), detach(updates))
            self._updates += 1
        return updates, after

    def numbers(self) -> dict[str, float]:
        """Return the means since the last call, and begin new ones; nothing if there was no update."""
        sums, looks = self._sums, self._looks
        self._updates, self._looks, self._sums = 0, 0, {}
        if not looks:
            return {}
        names = list(sums)
        values = dict(zip(names, torch.stack([sums[name].double() for name in names]).tolist(), strict=True))
        length, size = values.pop("update"), values.pop("weight")
        ratio = length / size if size else float("inf")
        return {"update_to_weight": ratio} | {name: value / looks for name, value in values.items()}

    def get_extra_state(self) -> dict[str, Any]:
        """Return the sums so far."""
        return {"updates": self._updates, "looks": self._looks, "sums": dict(self._sums)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on with the sums that `get_extra_state` returned."""
        self._updates, self._looks, self._sums = state["updates"], state["looks"], dict(state["sums"])

    @torch.no_grad()
    def _look(self, grads: Tree, state: State, params: Tree, updates: Tree) -> None:
        length, size = norms(flatten(updates).leaves, flatten(params).leaves)
        found = {"update": length, "weight": size}
        if isinstance(self.rule, ModuleRule):
            with RandomSources().kept_aside():  # an input that is noise draws anew
                found |= self.rule.saturation(grads, state, params=params)
        self._looks += 1
        for name, value in found.items():
            self._sums[name] = self._sums[name].to(value) + value if name in self._sums else value
