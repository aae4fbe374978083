"""Everything that a solver is between two steps, saved and taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bilevel.errors import CheckpointError
from bilevel.leader import Leader, parameters_of
from bilevel.tree import Tree, tree_map

if TYPE_CHECKING:
    from bilevel.solver import Solver


def of(solver: Solver[Any]) -> dict[str, Any]:
    """Return the state of both players, both optimizers and the methods, as tensors and plain Python values."""
    return {
        "step_count": solver.step_count,
        "leader": _leader_state(solver.task.leader),
        "leader_update": solver.leader_update.state_dict() if solver.leader_update else None,
        "rule": solver.rule.state_dict() if isinstance(solver.rule, nn.Module) else None,
        "rule_optimizer": solver.rule_optimizer.state_dict() if solver.rule_optimizer else None,
        "follower": solver.follower.state_dict(),
        "task": solver.task.state_dict(),
        "play": solver.play_state,
        "hypergradient": solver.hypergradient_state,
    }


def restore(solver: Solver[Any], state: dict[str, Any]) -> None:
    """Let ``solver`` take up the state that `of` returned.

    Raises:
        CheckpointError: if it was written by another combination of parts.
    """
    try:
        _restore_leader(solver.task.leader, state["leader"])
        if solver.leader_update:
            solver.leader_update.load_state_dict(state["leader_update"])
        if isinstance(solver.rule, nn.Module):
            solver.rule.load_state_dict(state["rule"])
        if solver.rule_optimizer:
            solver.rule_optimizer.load_state_dict(state["rule_optimizer"])
        solver.follower.load_state_dict(state["follower"])
        solver.task.load_state_dict(state["task"])
        solver.play_state = _beside(solver, state["play"])
        solver.hypergradient_state = _beside(solver, state["hypergradient"])
        solver.step_count = state["step_count"]
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"The saved state belongs to another task, rule or optimizer: {error}") from error


def _leader_state(leader: Leader) -> Any:
    return leader.state_dict() if isinstance(leader, nn.Module) else [p.detach() for p in parameters_of(leader)]


def _restore_leader(leader: Leader, state: Any) -> None:
    if isinstance(leader, nn.Module):
        leader.load_state_dict(state)
        return
    with torch.no_grad():
        for p, value in zip(parameters_of(leader), state, strict=True):
            p.copy_(value)


def _beside(solver: Solver[Any], tree: Tree) -> Tree:
    """Return a method's state, copied to the device of the players."""
    problem = solver.problem(None)
    device = next((p.device for p in (*problem.parameters, *problem.phi)), torch.device("cpu"))
    return tree_map(lambda leaf: leaf.to(device, copy=True) if isinstance(leaf, Tensor) else leaf, tree)
