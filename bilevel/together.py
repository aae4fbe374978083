"""Processes of `torch.distributed` that train together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, final

import torch
from torch import Tensor, distributed

from bilevel.errors import ConfigurationError, ProcessError
from bilevel.processes import Processes

ResultT = TypeVar("ResultT")


@final
class Together(Processes):
    r"""All processes of the default group of `torch.distributed`, which is initialised already.

    Per player and step there is one sum over the processes, of the gradient and of the floating-point buffers (the
    running statistics of batch norm) in one piece:

    $$\bar g = \frac1P \sum_{p=1}^P g_p$$

    A learned optimizer's gradients come from `torch.autograd.grad`, which the hooks of `DistributedDataParallel` never
    see; hence the sum is taken where the players move.

    Whatever else a batch means to a task is that of the share: the statistics of batch norm in training mode, the size
    of the gradient of a mean that a rule sees unscaled, the largest entry of a batch. Random numbers and what a task
    remembers are each process's own.

    Args:
        device: where this process computes.

    Raises:
        ConfigurationError: if there is no group of processes.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ConfigurationError(
                "There is no group of processes: call torch.distributed.init_process_group first, or let Lightning "
                "Fabric's launch do so."
            )
        self.device = torch.device(device)
        self.rank = distributed.get_rank()
        self.count = distributed.get_world_size()

    def mean_gradient(self, gradient: Sequence[Tensor | None], buffers: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """Return the mean of ``gradient`` over the processes; ``buffers`` become their means in place."""
        there = [g for g in gradient if g is not None]
        means = self._summed([*there, *buffers], 1 / self.count)
        parts = iter(means[: len(there)])
        if buffers:
            torch._foreach_copy_(list(buffers), means[len(there) :])
        return [None if g is None else next(parts) for g in gradient]

    def equalise(self, tensors: Sequence[Tensor]) -> None:
        """Give ``tensors`` the values that they have in the first process."""
        with _lost(), torch.no_grad():
            for tensor in tensors:
                value = tensor.detach().contiguous()
                distributed.broadcast(value, src=0)
                tensor.copy_(value)

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is set in any of the processes; this waits for all of them."""
        count = torch.tensor(int(flag), device=self.device)
        with _lost():
            distributed.all_reduce(count)
        return int(count) > 0

    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the means of ``numbers``, which have the same names everywhere."""
        wide = torch.float32 if self.device.type == "mps" else torch.float64
        values = torch.tensor(list(numbers.values()), dtype=wide, device=self.device)
        with _lost():
            distributed.all_reduce(values)
        return dict(zip(numbers, (values / self.count).tolist(), strict=True))

    def gather(self, value: Any) -> list[Any]:
        """Return the ``value`` of all processes, by rank, in the first process, and an empty list in the others."""
        found: list[Any] | None = [None] * self.count if self.is_first else None
        with _lost():
            distributed.gather_object(value, found, dst=0)
        return found or []

    def from_first(self, make: Callable[[], ResultT]) -> ResultT:
        """Return what ``make`` returns in the first process, or raise what it raises there, in all of them."""
        outcome: list[Any] = [None, None]
        if self.is_first:
            try:
                outcome = [make(), None]
            except Exception as error:  # noqa: BLE001 (it is raised below, everywhere)
                outcome = [None, error]
        with _lost():
            distributed.broadcast_object_list(outcome, src=0, device=self._object_device)
        result, failure = outcome
        if failure is not None:
            raise failure
        return result  # type: ignore[no-any-return]

    @property
    def _object_device(self) -> torch.device | None:
        return self.device if self.device.type == "cuda" else None

    def _summed(self, tensors: list[Tensor], factor: float) -> list[Tensor]:
        """Return the sums of ``tensors`` over the processes, times ``factor``."""
        if not tensors:
            return []
        flat = torch.cat([t.detach().flatten() for t in tensors])
        with _lost():
            distributed.all_reduce(flat)
        pieces = torch.split(flat.mul_(factor), [t.numel() for t in tensors])
        sums = [torch.empty_like(t) for t in tensors]  # in the memory layout of each, as the optimizers like it
        torch._foreach_copy_(sums, [piece.view(t.shape) for piece, t in zip(pieces, tensors, strict=True)])
        return sums


@contextmanager
def _lost() -> Iterator[None]:
    """Say in the user's words that the others are not there any more."""
    try:
        yield
    except RuntimeError as error:  # of the communication: torch has no narrower class for all of its backends
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ProcessError(f"Another process of this training was lost, or cannot be reached: {reason}") from error
