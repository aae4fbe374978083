"""Everything that a training is at one moment, and that a resumed one needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final, runtime_checkable

from torch.optim.lr_scheduler import LRScheduler

from bilevel.errors import CheckpointError
from bilevel.monitor import Monitor
from bilevel.rng import RandomSources
from bilevel.solver import Solver


@runtime_checkable
class Stateful(Protocol):
    """Anything with a state of its own, as torch's modules, optimizers and schedulers have."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as tensors and plain Python values."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take up the state that `state_dict` returned."""
        ...


@final
class TrainingState:
    """Where a training stands: the parts that have a state, the place in the data, the random numbers, the times.

    Args:
        solver: the players and their optimizers.
        schedulers: learning-rate schedulers, those of the epochs first.
        extras: the caller's own parts, by name.
        random: what the training draws from.
        monitor: the means of the epoch so far.

    Attributes:
        epoch: how many epochs are done.
        batch: how many batches of the next one are done.
        epoch_seconds: the training time of these batches, in seconds.
        seconds: the training time of the epochs that are done, in seconds.
        evaluation: what the last evaluation gave.
        epoch_start: the random states with which the data of this epoch were begun.
    """

    def __init__(
        self,
        solver: Solver[Any],
        *,
        schedulers: Sequence[LRScheduler],
        extras: Mapping[str, Stateful],
        random: RandomSources,
        monitor: Monitor,
    ) -> None:
        self.solver = solver
        self.schedulers = list(schedulers)
        self.extras = dict(extras)
        self.random = random
        self.monitor = monitor
        self.epoch = 0
        self.batch = 0
        self.epoch_seconds = 0.0
        self.seconds = 0.0
        self.evaluation: dict[str, float] = {}
        self.epoch_start: dict[str, Any] = random.capture()
        self.resumed_at: dict[str, Any] | None = None

    @property
    def last_whole_step(self) -> int:
        """The last step whose epoch may have been logged; the epoch of a later one is not over."""
        return self.solver.step_count if self.batch == 0 else self.solver.step_count - 1

    def begin_epoch(self) -> None:
        """Note the random states, or go back to those with which a half-done epoch began."""
        if self.batch == 0:
            self.catch_up()
            self.epoch_start = self.random.capture()
        else:
            self.random.restore(self.epoch_start)

    def catch_up(self) -> None:
        """Go to the random states of the moment of the checkpoint, once its batches were passed over."""
        if self.resumed_at is not None:
            self.random.restore(self.resumed_at)
            self.resumed_at = None

    def end_epoch(self) -> None:
        """Count the epoch as done."""
        self.epoch += 1
        self.batch = 0
        self.seconds += self.epoch_seconds
        self.epoch_seconds = 0.0
        self.monitor.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return all of it, as tensors and plain Python values."""
        return {
            "solver": self.solver.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "extras": {name: part.state_dict() for name, part in self.extras.items()},
            "random": {"epoch_start": self.epoch_start, "now": self.random.capture()},
            "monitor": self.monitor.state_dict(),
            "step": self.solver.step_count,
            "epoch": self.epoch,
            "batch": self.batch,
            "epoch_seconds": self.epoch_seconds,
            "seconds": self.seconds,
            "evaluation": self.evaluation,
        }

    def own_state_dict(self) -> dict[str, Any]:
        """Return what is another in each of several processes: random numbers, means, and what the task remembers."""
        random = {"epoch_start": self.epoch_start, "now": self.random.capture()}
        return {"random": random, "monitor": self.monitor.state_dict(), "task": self.solver.task.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned, with that of this process under ``processes``, if there is one.

        Raises:
            CheckpointError: if it was written by another combination of parts.
        """
        processes = self.solver.processes
        others = state.get("processes", [])
        if len(others) + 1 != processes.count:
            raise CheckpointError(
                f"The checkpoint was written by a training in {len(others) + 1} processes, and this one has "
                f"{processes.count}: go on with as many."
            )
        if not processes.is_first:
            own = others[processes.rank - 1]
            state = state | {"random": own["random"], "monitor": own["monitor"]}
            state["solver"] = state["solver"] | {"task": own["task"]}
        try:
            self._check_parts(state)
            self.solver.load_state_dict(state["solver"])
            for scheduler, one in zip(self.schedulers, state["schedulers"], strict=True):
                scheduler.load_state_dict(one)
            for name, part in self.extras.items():
                part.load_state_dict(state["extras"][name])
            self.monitor.load_state_dict(state["monitor"])
            self.epoch, self.batch = state["epoch"], state["batch"]
            self.epoch_seconds, self.seconds = state["epoch_seconds"], state["seconds"]
            self.evaluation = dict(state["evaluation"])
            self.epoch_start, self.resumed_at = state["random"]["epoch_start"], state["random"]["now"]
            self.random.restore(state["random"]["now"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CheckpointError(f"The checkpoint was written by another training: {error}.") from error

    def _check_parts(self, state: dict[str, Any]) -> None:
        if len(state["schedulers"]) != len(self.schedulers):
            raise ValueError(f"it has {len(state['schedulers'])} schedulers, this call has {len(self.schedulers)}")
        if state["extras"].keys() != self.extras.keys():
            raise ValueError(f"its extras are {sorted(state['extras'])}, those of this call {sorted(self.extras)}")
