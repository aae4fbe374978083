"""Passes that a hypergradient makes besides the follower's own moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from bilevel.hypergradient.base import require_dependence
from bilevel.inner import InnerProblem
from bilevel.leader import frozen
from bilevel.rollout import Rollout
from bilevel.rules.module import evaluating
from bilevel.rules.protocol import State
from bilevel.tree import Tree, as_leaves, detach, filled, leaves, replace_leaves


def modules(problem: InnerProblem) -> list[nn.Module]:
    """Return all parts of the leader and of the rule, each once."""
    owners = [one for one in (problem.task.leader, problem.rule) if isinstance(one, nn.Module)]
    return list({id(part): part for owner in owners for part in owner.modules()}.values())


@contextmanager
def kept_buffers(problem: InnerProblem) -> Iterator[None]:
    """Put the buffers of the leader and of the rule back: running statistics do not absorb the passes within."""
    owners = [(owner, name, b.clone()) for owner in modules(problem) for name, b in owner.named_buffers(recurse=False)]
    try:
        yield
    finally:
        for owner, name, value in owners:
            # Not seen by autograd: a graph that saved the buffer finds the value that it saved.
            owner.get_buffer(name).data.copy_(value)


def as_it_moved(rollout: Rollout) -> AbstractContextManager[None]:
    """Return the context for moving the follower again: a rule that learns nothing from it is in evaluation mode."""
    problem = rollout.problem
    learns = any(leaf.requires_grad for leaf in leaves(rollout.answer))
    return nullcontext() if problem.rule_leads or learns else evaluating(problem.rule)


def at_answer(rollout: Rollout) -> tuple[Tensor, Tree | None]:
    """Return ℓ at the answer, and for a task that remembers ∂ℓ/∂z there, without a graph to θ.

    Raises:
        TaskError: if ℓ depends neither on what the leader moves nor on z.
    """
    problem, answer = rollout.problem, as_leaves(rollout.answer)
    places = leaves(answer)
    with torch.enable_grad(), frozen(problem.resting):
        loss = problem.leader_loss(answer)
    if not loss.requires_grad:
        require_dependence([None], rollout, through_answer=True)
    if not problem.task.remembers:
        return loss.detach(), None
    found = torch.autograd.grad(loss, places, allow_unused=True) if loss.requires_grad else [None] * len(places)
    return loss.detach(), replace_leaves(answer, filled(found, places))


def follow(problem: InnerProblem, place: tuple[Tree, State], steps: int) -> tuple[Tensor, tuple[Tree, State]]:
    """Return ℓ after ``steps`` updates from ``place`` (z and the rule's state), and where they end; no graph."""
    with torch.no_grad():
        moves = problem.roll_out(*place, steps=steps, keep=0)
        return problem.leader_loss(moves.answer), (moves.answer, moves.state)


def follower_slope(problem: InnerProblem, z: Tree) -> tuple[Tensor | None, ...]:
    """Return ∂q/∂θ at ``z`` in what the leader moves, z a constant."""
    with torch.enable_grad(), frozen(problem.resting), problem.task.inner_context():
        loss = problem.follower_loss(detach(z))
    if not loss.requires_grad:
        return (None,) * len(problem.moved)
    return tuple(torch.autograd.grad(loss, list(problem.moved), allow_unused=True))
