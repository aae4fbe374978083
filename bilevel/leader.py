"""The leader: its parameters, and how they are moved."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias, final

import torch
from torch import Tensor, nn, optim

from bilevel.errors import ConfigurationError
from bilevel.tree import Tree, clone

Leader: TypeAlias = nn.Module | nn.Parameter | Sequence[nn.Parameter] | None
"""θ: a module, a parameter, a list of parameters, or nobody."""

Gradient: TypeAlias = Sequence[tuple[Tensor, Tensor | None]]
"""Parameters, each with its gradient (``None`` where the loss does not depend on it)."""


def parameters_of(leader: Leader) -> list[Tensor]:
    """Return the parameters θ of ``leader``, each once."""
    if leader is None:
        return []
    if isinstance(leader, nn.Module):
        return list(leader.parameters())
    if isinstance(leader, Iterator):
        raise ConfigurationError(
            "The leader is an iterator, which is used up after one look: give the module itself, or list(...) of it."
        )
    parameters = [leader] if isinstance(leader, Tensor) else list(leader)
    for p in parameters:
        if not isinstance(p, nn.Parameter):
            raise ConfigurationError(
                f"A leader is an nn.Module, an nn.Parameter or a list of nn.Parameter; got {type(p).__name__}. "
                "Wrap a plain tensor: nn.Parameter(tensor)."
            )
    return list({id(p): p for p in parameters}.values())


@contextmanager
def frozen(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Within the context ``parameters`` ask for no gradient, so that nothing is saved or computed for them."""
    active = [p for p in parameters if p.requires_grad]
    for p in active:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in active:
            p.requires_grad_(True)


def step_along(optimizer: optim.Optimizer, gradient: Gradient) -> None:
    """Take one step of ``optimizer`` along minus ``gradient`` and leave no ``.grad`` behind."""
    reads = _only_reads(optimizer)
    for p, g in gradient:
        # A copy: autograd may hand out one tensor for several parameters, others look at the gradient later (norms, a
        # task that remembers, plays), and what clips or preconditions writes into .grad.
        kept = reads and p.is_contiguous()
        p.grad = g if g is None or (kept and g.is_contiguous()) else g.clone()
    optimizer.step()
    for p, _ in gradient:
        p.grad = None


def _only_reads(optimizer: optim.Optimizer) -> bool:
    """Whether a step is known to leave the gradients as they are, so that large ones need no copy.

    Adam does; SGD with Nesterov's momentum does not, and hooks (clipping) may write what they want.
    """
    return type(optimizer) in (optim.Adam, optim.AdamW) and not optimizer._optimizer_step_pre_hooks  # noqa: SLF001


@contextmanager
def kept_in_place(parameters: Sequence[Tensor], optimizers: Sequence[optim.Optimizer]) -> Iterator[None]:
    """Within the context ``parameters`` may be moved by ``optimizers``; afterwards all of them are as before."""
    values = [p.detach().clone() for p in parameters]
    states = [{p: clone(one) for p, one in o.state.items()} for o in optimizers]
    groups = [[{k: clone(v) for k, v in g.items() if k != "params"} for g in o.param_groups] for o in optimizers]
    try:
        yield
    finally:
        with torch.no_grad():
            for p, value in zip(parameters, values, strict=True):
                p.copy_(value)
        for optimizer, state, settings in zip(optimizers, states, groups, strict=True):
            optimizer.state.clear()
            optimizer.state.update(state)
            for group, one in zip(optimizer.param_groups, settings, strict=True):
                group.update(one)


def trained(optimizer: optim.Optimizer, own: Sequence[Tensor], argument: str, player: str) -> list[Tensor]:
    """Return those of ``own`` that ``optimizer`` holds and that ask for a gradient.

    Raises:
        ConfigurationError: if there is none, or the optimizer holds parameters that are not ``own``.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    strangers = len(held - {id(p) for p in own})
    if strangers:
        raise ConfigurationError(
            f"{argument} holds {strangers} parameters that do not belong to {player}, and would never move them: build "
            f"it over the parameters of {player} alone."
        )
    moved = [p for p in own if id(p) in held and p.requires_grad]
    if not moved:
        raise ConfigurationError(
            f"{argument} holds no parameter of {player} that asks for a gradient: all of them are frozen "
            "(requires_grad=False), or there are none."
        )
    return moved


class LeaderUpdate(abc.ABC):
    """How the leader moves once the follower has answered.

    The default is `OptimizerUpdate`, one step of a torch optimizer along minus the hypergradient. A leader that
    is moved by something else (a policy moved by TRPO, a tree, a person) is a subclass with
    ``uses_gradient = False``: then no hypergradient is computed and ``gradient`` is ``None``.
    """

    uses_gradient: ClassVar[bool] = True
    """Whether a hypergradient is computed for `update`."""

    @abc.abstractmethod
    def parameters(self, leader: Leader) -> list[Tensor]:
        """Return those parameters of ``leader`` whose gradient this update uses."""

    @abc.abstractmethod
    def update(self, batch: Any, answer: Tree, gradient: Gradient | None) -> None:
        """Move the leader.

        Args:
            batch: the batch of this step.
            answer: the follower's answer z, without a graph.
            gradient: the hypergradient, each of ``parameters`` with its own, or ``None``.
        """

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, as tensors and plain Python values."""

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned."""


@final
class OptimizerUpdate(LeaderUpdate):
    """One step of a torch optimizer: with SGD of rate 1 the leader moves by minus the hypergradient.

    Args:
        optimizer: any `torch.optim.Optimizer` over parameters of the leader.
    """

    uses_gradient = True

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer = optimizer

    def parameters(self, leader: Leader) -> list[Tensor]:
        """Return the leader's parameters that the optimizer holds and that are not frozen.

        Raises:
            ConfigurationError: if there is none, or the optimizer holds others.
        """
        return trained(self.optimizer, parameters_of(leader), "leader_optimizer", "the leader")

    def update(self, batch: Any, answer: Tree, gradient: Gradient | None) -> None:
        """Hand the hypergradient to the optimizer and take its step."""
        if gradient is None:
            raise ConfigurationError("OptimizerUpdate needs a gradient; a LeaderUpdate of your own need not.")
        step_along(self.optimizer, gradient)

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the optimizer's state."""
        self.optimizer.load_state_dict(state)
