"""A rule as a torch optimizer, for loops that know nothing of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn, optim

from bilevel.errors import CheckpointError, ConfigurationError
from bilevel.learned.grouped import Grouped
from bilevel.learned.optimizer_checks import (
    Member,
    parameters_of,
    refilled,
    require_dense,
    require_distinct,
    require_factor,
    require_known,
    require_own_state,
    require_place,
    without_wrapper,
)
from bilevel.rules.module import ModuleRule, evaluating
from bilevel.rules.protocol import Rule
from bilevel.tree import Tree, leaves


@final
class RuleOptimizer(optim.Optimizer):
    r"""Move parameters by a rule, which sees them and their gradients, in evaluation mode and without a graph.

    $$z \leftarrow z + \mathrm{lr} \cdot g_\phi(z, \nabla_z q(z), s)$$

    All parameters go through the rule together, whatever group they are in; with `Grouped`, all that belong to a
    pattern, for which they need names. A parameter without a gradient is not moved. Where it moved before, the rule
    takes its gradient for 0; otherwise it and its memory begin when it first has one.

    The state is cut from all graphs and of the same size at every step. ``state_dict`` holds tensors and plain values.

    Args:
        target: a model, whose parameters have names then, or what every torch optimizer takes: parameters, pairs of a
            name and a parameter, or param groups, each with an ``lr`` of its own if it shall have one.
        rule: the rule.
        lr: what the updates are multiplied by, at least 0; a trained rule needs none, and schedulers change it.

    Raises:
        ConfigurationError: if there is no parameter, or one that does not fit the rule's precision or device, or
            ``lr`` is out of range, or a pattern of `Grouped` matches nothing.

    Examples:
        >>> weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> optimizer = RuleOptimizer([weight], Sum(Gradient(0.5)))
        >>> weight.square().sum().backward()
        >>> optimizer.step()
        >>> weight.data
        tensor([0., 0.])
    """

    def __init__(self, target: nn.Module | Iterable[Any], rule: ModuleRule, lr: float = 1.0) -> None:
        if not isinstance(rule, ModuleRule):
            raise ConfigurationError(
                f"RuleOptimizer got {type(rule).__name__} for its rule; it needs one of bilevel.learned, or one made "
                "of others, such as bilevel.rules.Sum(rule)."
            )
        self.rule = rule
        self._parts: list[Rule] = []
        self._part_of: list[int] = []  # by the number of a parameter; empty until all groups are there
        super().__init__(parameters_of(target), {"lr": lr})
        self._assign()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as every torch optimizer does.

        Raises:
            ConfigurationError: if the group is empty or does not fit the rule.
        """
        number = len(self.param_groups) + 1
        if isinstance(param_group["params"], Iterator):
            param_group["params"] = list(param_group["params"])
        if isinstance(param_group["params"], Sequence) and not param_group["params"]:
            raise ConfigurationError(f"Param group {number} is empty: leave it out, or put its parameters in.")
        super().add_param_group(param_group)
        try:
            self._require_group(self.param_groups[-1], number)
            if self._part_of:
                self._assign()
        except ConfigurationError:
            self.param_groups.pop()
            raise

    def _require_group(self, group: dict[str, Any], number: int) -> None:
        require_factor(group["lr"], f"The lr of param group {number}")
        require_known(group, f"Param group {number}")
        require_distinct([one.name for one in self.members])

    @property
    def members(self) -> list[Member]:
        """The parameters of all groups, in order."""
        found: list[Member] = []
        for group in self.param_groups:
            numbers = range(len(found), len(found) + len(group["params"]))
            names = group.get("param_names", [f"number {i}" for i in numbers])
            found += [Member(p, name, group["lr"]) for p, name in zip(group["params"], names, strict=True)]
        return found

    @property
    def _named(self) -> bool:
        return "param_names" in self.param_groups[0]  # torch lets either all groups have names, or none

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the parameters once.

        Args:
            closure: evaluates the loss and its gradients anew, and returns the loss.

        Returns:
            What the closure returned, or ``None``.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        members = self.members
        blocks: list[dict[str, Any]] = self.state.setdefault("blocks", [])  # type: ignore[call-overload]
        known = {i for block in blocks for i in block["members"]}
        # What has no entries cannot be moved.
        able = [one.parameter.grad is not None and one.parameter.numel() > 0 for one in members]
        new = [i for i, is_able in enumerate(able) if is_able and i not in known]
        with evaluating(self.rule):
            for part in sorted({self._part_of[i] for i in new}):
                mine = [i for i in new if self._part_of[i] == part]
                blocks.append(self._begin(part, mine, members))
            for block in blocks:
                self._move(block, members)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the groups' settings and the rule's state, as tensors and plain values."""
        whole = super().state_dict()
        blocks = [block | {"state": leaves(block["state"])} for block in self.state.get("blocks", [])]  # type: ignore[call-overload]
        return whole | {"state": {"blocks": blocks}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned; what was given is copied.

        Raises:
            CheckpointError: if it is of another optimizer, another rule or other parameters.
        """
        require_own_state(state_dict, self.param_groups)
        state, members = state_dict["state"], self.members
        blocks = [self._restored(block, members) for block in state["blocks"]]
        super().load_state_dict(state_dict | {"state": {}})
        self.state["blocks"] = blocks  # type: ignore[index]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs: torch's own forgets the attributes of a subclass."""
        own = {"rule": self.rule, "_parts": self._parts, "_part_of": self._part_of}
        return super().__getstate__() | own

    def _begin(self, part: int, numbers: list[int], members: list[Member]) -> dict[str, Any]:
        """Return parameters that move together from now on, with the rule's state for them."""
        mine = [members[i] for i in numbers]
        start = self._tree(mine, [one.parameter for one in mine])
        return {"part": part, "members": numbers, "state": self._parts[part].init(start)}

    def _move(self, block: dict[str, Any], members: list[Member]) -> None:
        """Move the parameters of a block, and put the rule's next state there."""
        mine, rule = [members[i] for i in block["members"]], self._parts[block["part"]]
        if all(one.parameter.grad is None for one in mine):
            return
        require_place(rule, mine)
        require_dense(mine)
        z = self._tree(mine, [p for p, _, _ in mine])
        slopes = self._tree(mine, [torch.zeros_like(p) if p.grad is None else p.grad for p, _, _ in mine])
        # A rule of ours leaves the gradients alone, which others may want to look at after the step.
        ours = isinstance(rule, ModuleRule)
        updates, block["state"] = rule.update(slopes, block["state"], params=z, inplace=ours)
        moves = [updates[one.name] for one in mine] if self._named else list(updates)
        for lr in {one.lr for one in mine}:
            pairs = [(one.parameter, u) for one, u in zip(mine, moves, strict=True) if one.lr == lr]
            pairs = [(p, u) for p, u in pairs if p.grad is not None]
            if pairs:
                places, steps = zip(*pairs, strict=True)
                torch._foreach_add_(list(places), list(steps), alpha=lr)

    def _restored(self, block: dict[str, Any], members: list[Member]) -> dict[str, Any]:
        """Return a block of a saved state in the structure that this rule has for these parameters."""
        part, numbers, found = block["part"], block["members"], block["state"]
        if part >= len(self._parts):
            raise CheckpointError("The saved state is of another rule, one with more parts.")
        fresh = self._begin(part, numbers, members)["state"]
        return {"part": part, "members": list(numbers), "state": refilled(fresh, found)}

    def _tree(self, members: list[Member], tensors: list[Tensor]) -> Tree:
        """Return a tensor for each member by its name, as rules are trained on them; without names, as a tuple."""
        return {one.name: t for one, t in zip(members, tensors, strict=True)} if self._named else tuple(tensors)

    def _assign(self) -> None:
        """Give each parameter to the part of the rule that moves it: a pattern's rule, or the only one."""
        members = self.members
        if not isinstance(self.rule, Grouped):
            self._parts, self._part_of = [self.rule], [0] * len(members)
        elif not self._named:
            raise ConfigurationError(
                f"The rule is Grouped by names ({', '.join(self.rule.patterns)}), and these parameters have none: give "
                "the model itself, or list(model.named_parameters()) or a part of it."
            )
        else:
            self._parts = list(self.rule.rules)
            names = without_wrapper([one.name for one in members], self.rule.patterns)
            self._part_of = self.rule.assign(names)
        for number, part in enumerate(self._parts):
            require_place(part, [one for one, of in zip(members, self._part_of, strict=True) if of == number])
