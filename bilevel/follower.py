"""The follower's place between steps: starting anew on each batch, or living on."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, final

from torch import Tensor

from bilevel.errors import CheckpointError, TaskError
from bilevel.rng import RandomSources
from bilevel.rollout import Rollout
from bilevel.rules.protocol import Rule, State
from bilevel.task import Task
from bilevel.tree import Tree, clone, detach, leaves, replace_leaves, tree_map


class Follower(abc.ABC):
    """Where the follower stands before it moves, and what is kept of its moves.

    Args:
        task: whose start it begins at.
        rule: how it moves.
        moved: the leader's parameters that are moved by a gradient, whose dtype and device it must share.

    Attributes:
        place: z and the rule's state where the follower stands between steps; ``None`` if it stands nowhere (yet).
    """

    def __init__(self, task: Task[Any, Any], rule: Rule, moved: Sequence[Tensor] = ()) -> None:
        self.task = task
        self.rule = rule
        self.place: tuple[Tree, State] | None = None
        self._moved = moved
        self._checked = self._shares = False

    @property
    @abc.abstractmethod
    def fresh(self) -> bool:
        """Whether the follower begins at the task's start in this step."""

    @abc.abstractmethod
    def begin(self, batch: Any) -> tuple[Tree, State]:
        """Return the point and the rule's state from which the follower moves on ``batch``.

        A follower that starts anew keeps the start's graph to θ, if the task gave it one.
        """

    @property
    def answer(self) -> Tree | None:
        """Where the follower stands between steps; ``None`` if it stands nowhere (yet)."""
        return None if self.place is None else self.place[0]

    @abc.abstractmethod
    def keep(self, rollout: Rollout) -> None:
        """Remember where the follower went."""

    @abc.abstractmethod
    def end_step(self) -> None:
        """Take note that a step of the solver is over."""

    def break_off(self) -> None:
        """Forget the place, whatever the age: the next step begins anew."""
        self.place = None

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as tensors and plain Python values."""

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned."""

    def start(self, batch: Any) -> tuple[Tree, State]:
        """Return the task's start on ``batch``, as tensors apart from θ, and a new state of the rule.

        Raises:
            TaskError: if the start is no tree of floating tensors, or not of the leader's dtype and device.
        """
        z = self.task.start(batch)
        if not leaves(z) or not all(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves(z)):
            raise TaskError(
                f"{type(self.task).__name__}.start must return a floating tensor or a pytree of them, got "
                f"{[getattr(leaf, 'dtype', type(leaf).__name__) for leaf in leaves(z)]}."
            )
        if not self._checked:
            self._check_place(z)
            theirs = {p.untyped_storage().data_ptr() for p in self._moved}
            self._shares = any(leaf.untyped_storage().data_ptr() in theirs for leaf in leaves(z))
        # A start that is θ itself, as in MAML, is another variable of the losses, and stays where it is as θ moves.
        z = tree_map(lambda leaf: leaf.clone() if self._shares else leaf.view_as(leaf), z)
        return z, self.rule.init(detach(z))

    def _check_place(self, z: Tree) -> None:
        """Raise `TaskError` if z has a dtype or a device that no parameter of the leader has."""
        known = {(p.dtype, p.device) for p in self._moved}
        strange = [leaf for leaf in leaves(z) if (leaf.dtype, leaf.device) not in known]
        if known and strange:
            theirs = " and ".join(sorted(f"{dtype} on {device}" for dtype, device in known))
            raise TaskError(
                f"{type(self.task).__name__}.start returned {strange[0].dtype} on {strange[0].device}, and the leader "
                f"is {theirs}; the two players must agree. Move one of them, by z.to(parameter) or leader.to(...)."
            )
        self._checked = True


@final
class FreshFollower(Follower):
    """A follower that starts anew on each batch and is forgotten after it."""

    @property
    def fresh(self) -> bool:
        """``True``."""
        return True

    def begin(self, batch: Any) -> tuple[Tree, State]:
        """Return the task's start and a new state of the rule."""
        return self.start(batch)

    def keep(self, rollout: Rollout) -> None:
        """Forget it."""

    def end_step(self) -> None:
        """Do nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up nothing.

        Raises:
            CheckpointError: if there is something to take up.
        """
        if state:
            raise CheckpointError("the state is that of a follower that lives on; this one starts anew on each batch")


@final
class LivingFollower(Follower):
    """A follower that goes on from where it stood, its rule from the state it had, until its episode is over."""

    def __init__(self, task: Task[Any, Any], rule: Rule, moved: Sequence[Tensor] = ()) -> None:
        super().__init__(task, rule, moved)
        self.age = 0
        self._loaded: dict[str, Any] | None = None

    @property
    def fresh(self) -> bool:
        """Whether an episode begins."""
        return self.age == 0

    def begin(self, batch: Any) -> tuple[Tree, State]:
        """Return the place of the last step; the task's start at the first one of an episode."""
        if self.place is None:
            # Clones: what a task returns as the start may be moved in place by whoever owns it.
            self.place = self._restore(batch, self._loaded) if self._loaded else clone(detach(self.start(batch)))
            self._loaded = None
        return self.place

    def end_step(self) -> None:
        """Grow older by a step, and forget the place where the episode is over."""
        self.age += 1
        if self.age == self.task.episode:
            self.age, self.place = 0, None

    def break_off(self) -> None:
        """Forget the place and end the episode with this step."""
        super().break_off()
        self.age = -1  # the end of the step makes it 0

    def keep(self, rollout: Rollout) -> None:
        """Remember the answer and the rule's state, cut from their graphs."""
        self.place = detach(rollout.answer), detach(rollout.state)

    def state_dict(self) -> dict[str, Any]:
        """Return the tensors of the place; their structure is the task's and the rule's to give."""
        if self.place is None:
            return self._loaded or {}
        return {"answer": leaves(self.place[0]), "rule_state": leaves(self.place[1]), "age": self.age}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a place; it is put into the task's structure at the next step."""
        self.place, self._loaded, self.age = None, state or None, state.get("age", 0)

    def _restore(self, batch: Any, state: dict[str, Any]) -> tuple[Tree, State]:
        with RandomSources().kept_aside():  # the structure is asked for, not a new draw
            z, rule_state = detach(self.start(batch))
        place = []
        for name, tree in (("answer", z), ("rule_state", rule_state)):
            found, wanted = state[name], leaves(tree)
            if list(map(_kind, found)) != list(map(_kind, wanted)):
                raise CheckpointError(
                    f"The checkpoint's {name} holds {list(map(_kind, found))}, this task and rule have "
                    f"{list(map(_kind, wanted))}: it was written with another task or rule."
                )
            moved = [
                new.to(old.device) if isinstance(old, Tensor) else new for new, old in zip(found, wanted, strict=True)
            ]
            place.append(replace_leaves(tree, moved))
        return place[0], place[1]


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype} {tuple(leaf.shape)}" if isinstance(leaf, Tensor) else type(leaf).__name__


def make_follower(task: Task[Any, Any], rule: Rule, moved: Sequence[Tensor]) -> Follower:
    """Return the follower that the task asks for."""
    return LivingFollower(task, rule, moved) if task.lives_on else FreshFollower(task, rule, moved)
