"""A module as it would be with other weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, final

from torch import Tensor, nn
from torch.func import functional_call

ResultT = TypeVar("ResultT")


def with_weights(module: nn.Module, weights: Mapping[str, Tensor], work: Callable[[], ResultT]) -> ResultT:
    """Return what ``work`` returns while ``module`` has other weights, whichever way ``work`` uses it.

    Buffers are copies meanwhile, so that running statistics absorb nothing of the work.

    Args:
        module: the module.
        weights: parameters by their names in it, which may carry a graph; others stay as they are.
        work: what to do.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    swapped = {f"module.{name}": tensor for name, tensor in {**buffers, **weights}.items()}
    found: ResultT = functional_call(_Around(module), swapped, (work,))
    return found


@final
class _Around(nn.Module):
    """Calls whatever it is given, around a module whose weights torch swaps for the time of the call."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, work: Callable[[], Any]) -> Any:
        return work()
