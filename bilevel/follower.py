"""The follower's place between steps: starting anew on each batch, or living on."""

from __future__ import annotations

import abc
from typing import Any, final

from torch import Tensor

from bilevel.errors import CheckpointError, TaskError
from bilevel.rng import RandomSources
from bilevel.rollout import Rollout
from bilevel.rules.protocol import Rule, State
from bilevel.task import Task
from bilevel.tree import Tree, clone, detach, leaves, replace_leaves


class Follower(abc.ABC):
    """Where the follower stands before it moves, and what is kept of its moves."""

    def __init__(self, task: Task[Any, Any], rule: Rule) -> None:
        self.task = task
        self.rule = rule

    @abc.abstractmethod
    def begin(self, batch: Any) -> tuple[Tree, State]:
        """Return the point and the rule's state from which the follower moves on ``batch``."""

    @abc.abstractmethod
    def standing(self, batch: Any) -> Rollout | None:
        """Return what a leader sees that does not wait for the follower's move; ``None`` if there is nothing yet."""

    @property
    @abc.abstractmethod
    def answer(self) -> Tree | None:
        """Where the follower stands between steps; ``None`` if it stands nowhere yet."""

    @abc.abstractmethod
    def keep(self, rollout: Rollout) -> None:
        """Remember where the follower went."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as tensors and plain Python values."""

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned."""

    def _start(self, batch: Any) -> tuple[Tree, State]:
        z = detach(self.task.start(batch))
        if not leaves(z) or not all(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves(z)):
            raise TaskError(
                f"{type(self.task).__name__}.start must return a floating tensor or a pytree of them, got "
                f"{[getattr(leaf, 'dtype', type(leaf).__name__) for leaf in leaves(z)]}."
            )
        return z, self.rule.init(z)


@final
class FreshFollower(Follower):
    """A follower that starts anew on each batch and is forgotten after it."""

    def begin(self, batch: Any) -> tuple[Tree, State]:
        """Return the task's start and a new state of the rule."""
        return self._start(batch)

    def standing(self, batch: Any) -> None:
        """Return ``None``: before it moves there is no answer to this batch."""
        return

    @property
    def answer(self) -> None:
        """``None``: there is no place between steps."""
        return

    def keep(self, rollout: Rollout) -> None:
        """Forget it."""

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
    """A follower that goes on from where it stood, its rule from the state it had."""

    def __init__(self, task: Task[Any, Any], rule: Rule) -> None:
        super().__init__(task, rule)
        self.place: tuple[Tree, State] | None = None
        self._loaded: dict[str, Any] | None = None

    def begin(self, batch: Any) -> tuple[Tree, State]:
        """Return the place of the last step; the task's start at the first."""
        if self.place is None:
            # Clones: what a task returns as the start may be moved in place by whoever owns it.
            self.place = clone(self._start(batch)) if self._loaded is None else self._restore(batch, self._loaded)
            self._loaded = None
        return self.place

    def standing(self, batch: Any) -> Rollout:
        """Return the place of the last step as an answer that took no move."""
        z, state = self.begin(batch)
        return Rollout((z,), (), state, None)

    def keep(self, rollout: Rollout) -> None:
        """Remember the answer and the rule's state, cut from their graphs."""
        self.place = detach(rollout.answer), detach(rollout.state)

    def state_dict(self) -> dict[str, Any]:
        """Return the tensors of the place; their structure is the task's and the rule's to give."""
        if self.place is None:
            return self._loaded or {}
        return {"answer": leaves(self.place[0]), "rule_state": leaves(self.place[1])}

    @property
    def answer(self) -> Tree | None:
        """Where the follower stands."""
        return None if self.place is None else self.place[0]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a place; it is put into the task's structure at the next step."""
        self.place, self._loaded = None, state or None

    def _restore(self, batch: Any, state: dict[str, Any]) -> tuple[Tree, State]:
        with RandomSources().kept_aside():  # the structure is asked for, not a new draw
            z, rule_state = self._start(batch)
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


def make_follower(task: Task[Any, Any], rule: Rule) -> Follower:
    """Return the follower that the task asks for."""
    return LivingFollower(task, rule) if task.lives_on else FreshFollower(task, rule)
