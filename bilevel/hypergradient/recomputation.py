"""A follower's updates that carry a graph without keeping it: they are made again when it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bilevel.hypergradient.base import total
from bilevel.hypergradient.passes import kept_buffers, modules
from bilevel.inner import InnerProblem
from bilevel.leader import frozen
from bilevel.rng import RandomSources
from bilevel.rollout import Move, Rollout
from bilevel.rules.protocol import State
from bilevel.tree import Tree, as_leaves, detach, leaves, replace_leaves


def floating(tree: Tree) -> list[Tensor]:
    """Return the tensors of ``tree`` that can be differentiated."""
    return [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


@final
@dataclass(frozen=True)
class _Segment:
    """Where some consecutive updates begin, the first of them the one of number ``first``."""

    first: int
    steps: int
    z: Tree
    state: State
    random: dict[str, Any]


@final
class Recomputed:
    """K updates, of which only every n-th iterate is kept.

    Args:
        problem: the inner problem.
        length: n, how many updates are made again at one time.
        settings: those of `InnerProblem.roll_out`.
    """

    def __init__(self, problem: InnerProblem, length: int, settings: dict[str, Any]) -> None:
        self.problem, self.length = problem, length
        self.steps, self.settings = settings["steps"], settings
        keep = settings.get("keep")
        self.kept_from = 0 if keep is None else max(self.steps - keep, 0)
        phi = problem.phi
        self.parameters = [*problem.moved, *(p for p in phi if p.requires_grad)]
        self._still = [*problem.resting, *(p for p in phi if not p.requires_grad)]
        self._segments: list[_Segment] = []
        self._modes = [(module, module.training) for module in modules(problem)]

    def roll_out(self, start: Tree, state: State) -> Rollout:
        """Return the rollout; its answer, and the iterates that are kept, carry the graph to all that they depend on.

        Its gradients and its last state are constants, and the states before that are not kept.
        """
        made: list[Rollout] = []
        inputs = [*leaves(start), *floating(state), *self.parameters]
        outputs = _Unroll.apply(self, (start, state), made, *inputs)  # type: ignore[no-untyped-call]
        last, count = made[-1], len(leaves(start))
        trees = [replace_leaves(start, list(outputs[i : i + count])) for i in range(0, len(outputs), count)]
        moves = [move for part in made for move in part.moves]
        iterates = [start, *trees] if self.kept_from == 0 else trees
        moves = [Move(z, None, move.gradient) for z, move in zip(iterates[:-1], moves, strict=True)]
        return Rollout(
            self.problem,
            start,
            state,
            trees[-1],
            last.state,
            last.loss,
            self.steps,
            tuple(moves),
            tracked=self.steps,
            fresh=self.settings.get("fresh", True),
        )

    def forward(self, start: Tree, state: State) -> list[Rollout]:
        """Make the updates without a graph, a rollout a segment, and note where the segments begin."""
        z, s, sources, made = detach(start), detach(state), RandomSources(), []
        for first in range(0, self.steps, self.length):
            segment = _Segment(first, min(self.length, self.steps - first), z, s, sources.capture())
            known = self.settings.get("first") if first == 0 else None
            # Frozen: what autocast keeps of a parameter must not come from a pass without a graph.
            with frozen(self.parameters):
                part = self.problem.roll_out(z, s, steps=segment.steps, keep=self._keep(segment), first=known)
            # Without the states in between, which nobody needs and which may be far larger than the iterates.
            moves = tuple(Move(move.z, None, move.gradient) for move in part.moves)
            made.append(dataclasses.replace(part, moves=moves))
            self._segments.append(segment)
            z, s = part.answer, part.state
        return made

    def pull_back(self, cotangents: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """Return the cotangents of z_0, of the floating tensors of the rule's state there, and of the parameters.

        Args:
            cotangents: those of the kept iterates from z_1 on, and of the answer, tensor by tensor.
        """
        count = len(leaves(self._segments[0].z))
        rows = [cotangents[i : i + count] for i in range(0, len(cotangents), count)]
        begins = max(self.kept_from, 1)  # the number of the iterate that the first row belongs to
        after = rows.pop()
        state: Sequence[Tensor | None] = [None] * len(floating(self._segments[0].state))
        found: Sequence[Tensor | None] = [None] * len(self.parameters)
        with RandomSources().kept_aside(), kept_buffers(self.problem), self._as_before():
            for segment in reversed(self._segments):
                # Iterates within the segment; the one that it begins with belongs to z there.
                within = range(max(segment.first + 1, begins), segment.first + segment.steps)
                middle = [row for t in within for row in rows[t - begins]]
                z, state, parameters = self._pull_through(segment, [*after, *state, *middle])
                found = total(found, parameters)
                after = total(z, rows[segment.first - begins]) if segment.first >= begins else z
        return (*after, *state, *found)

    def _pull_through(
        self, segment: _Segment, cotangents: Sequence[Tensor | None]
    ) -> tuple[Sequence[Tensor | None], Sequence[Tensor | None], Sequence[Tensor | None]]:
        """Make a segment's updates again, with their graph, and return the cotangents of what it begins with."""
        RandomSources().restore(segment.random)
        z, state = as_leaves((segment.z, segment.state))
        with torch.enable_grad(), frozen(self._still):
            part = self.problem.roll_out(
                z, state, steps=segment.steps, track_leader=segment.steps, keep=self._keep(segment)
            )
        # The last of the moves that are kept may be the one from z itself.
        middle = part.moves[1:] if len(part.moves) == segment.steps else part.moves
        outputs = [*leaves(part.answer), *floating(part.state), *(leaf for move in middle for leaf in leaves(move.z))]
        pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if c is not None and o.requires_grad]
        inputs = [*leaves(z), *floating(state), *self.parameters]
        found: Sequence[Tensor | None] = [None] * len(inputs)
        if pairs:
            ends, weights = zip(*pairs, strict=True)
            found = torch.autograd.grad(ends, inputs, weights, allow_unused=True)
        first, second = len(leaves(z)), len(leaves(z)) + len(floating(state))
        return found[:first], found[first:second], found[second:]

    def _keep(self, segment: _Segment) -> int:
        """Return how many of the segment's moves are kept."""
        return max(segment.first + segment.steps - max(self.kept_from, segment.first), 0)

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """Put the modules into the modes in which the updates were made."""
        now = [(module, module.training) for module, _ in self._modes]
        for module, training in self._modes:
            module.training = training
        try:
            yield
        finally:
            for module, training in now:
                module.training = training


class _Unroll(torch.autograd.Function):
    """The map from z_0, the rule's state there, θ and φ to the iterates and the answer."""

    @staticmethod
    def forward(
        ctx: Any, updates: Recomputed, place: tuple[Tree, State], made: list[Rollout], *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the leaves of the kept iterates from z_1 on, and of the answer; ``made`` takes up the rollouts."""
        ctx.updates = updates
        ctx.save_for_backward(*inputs)  # so that it is noticed if θ or φ moves before the backward pass
        ctx.set_materialize_grads(False)
        ctx.autocast = _autocast(inputs[0].device.type)
        made.extend(updates.forward(*place))
        moves = [move for part in made for move in part.moves]
        iterates = [move.z for move in (moves[1:] if updates.kept_from == 0 else moves)]
        # Clones: an iterate may be a tensor of the task's own, which must not get a graph.
        return tuple(leaf.clone() for z in [*iterates, made[-1].answer] for leaf in leaves(z))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        """Return the cotangents of the inputs."""
        _ = ctx.saved_tensors  # raises if one of them has moved since
        with torch.autocast(**ctx.autocast):
            return (None, None, None, *ctx.updates.pull_back(cotangents))


def _autocast(device: str) -> dict[str, Any]:
    """Return the settings of autocast as they are now: a backward pass on a device runs in a thread of its own."""
    return {
        "device_type": device,
        "dtype": torch.get_autocast_dtype(device),
        "enabled": torch.is_autocast_enabled(device),
        "cache_enabled": torch.is_autocast_cache_enabled(),
    }
