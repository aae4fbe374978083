"""Which statistics batch norm uses, and whether it gathers them, while perturbed images are made.

The leader's own pass always is an ordinary one in training mode; a mode says what the other passes are.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, final

from torch import nn


class NormMode(abc.ABC):
    """How the classifier's batch norms behave in the passes that are not the leader's.

    A task asks for `layers` once and hands them to the contexts, which are entered at each pass.
    """

    @abc.abstractmethod
    def layers(self, model: nn.Module) -> list[nn.Module]:
        """Return the modules of ``model`` that the contexts switch."""

    @abc.abstractmethod
    def attacking(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context for a pass whose gradient feeds the attacker."""

    @abc.abstractmethod
    def training_rule(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context for all passes of a learned attacker's own turn, in alternating play."""


@final
@dataclass(frozen=True)
class TrainModeNorm(NormMode):
    """Attack the classifier in training mode: batch statistics, and the running ones absorb each pass.

    So they come to describe a mixture of clean, half-way and perturbed images. In alternating play the attacker's own
    turn is made in evaluation mode. This is the training code of Jiang et al. 2021 for learned attackers.
    """

    def layers(self, model: nn.Module) -> list[nn.Module]:
        """Return all modules: the attacker's turn is in evaluation mode."""
        return list(model.modules())

    def attacking(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return a context that changes nothing."""
        return nullcontext()

    def training_rule(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context of evaluation mode."""
        return _switched(layers, "training")


@final
@dataclass(frozen=True)
class EvalModeNorm(NormMode):
    """Attack the classifier in evaluation mode: running statistics, no dropout, as it will be used and attacked.

    The perturbation of an image does not depend on the others of its batch, and the running statistics describe what
    the leader learns from and nothing else. This is how TRADES trains and, for PGM, the code of Jiang et al. 2021.
    """

    def layers(self, model: nn.Module) -> list[nn.Module]:
        """Return all modules."""
        return list(model.modules())

    def attacking(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context of evaluation mode."""
        return _switched(layers, "training")

    def training_rule(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context of evaluation mode."""
        return _switched(layers, "training")


@final
@dataclass(frozen=True)
class BatchStatisticsNorm(NormMode):
    """Attack the function that the leader differentiates: batch statistics, while the running ones stay as they are."""

    def layers(self, model: nn.Module) -> list[nn.Module]:
        """Return the norms that keep running statistics."""
        return [layer for layer in model.modules() if getattr(layer, "track_running_stats", False)]

    def attacking(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context in which nothing is absorbed."""
        return _switched(layers, "track_running_stats")

    def training_rule(self, layers: Sequence[nn.Module]) -> AbstractContextManager[Any]:
        """Return the context in which nothing is absorbed."""
        return _switched(layers, "track_running_stats")


@contextmanager
def _switched(layers: Sequence[nn.Module], flag: str) -> Iterator[None]:
    """Within the context ``flag`` is off in all ``layers``; those that had it off stay as they are."""
    # A module's own way to set an attribute searches parameters and buffers first, which takes several times as long.
    active = [attributes for attributes in map(vars, layers) if attributes[flag]]
    for attributes in active:
        attributes[flag] = False
    try:
        yield
    finally:
        for attributes in active:
            attributes[flag] = True
