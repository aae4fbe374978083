"""What is learned to be solved, and first of all the training of a classifier."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Generic, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from bilevel.errors import ConfigurationError
from tasks.meta.attack import SignAttack, Weights
from tasks.meta.mixture import Mixture
from tasks.vision.data import ImageBatch, Images

PoolT = TypeVar("PoolT")
SampleT = TypeVar("SampleT")


class Problem(abc.ABC, Generic[PoolT, SampleT]):
    """A follower's problem: where its weights begin, and what they cost on some of the data."""

    @abc.abstractmethod
    def network(self) -> nn.Module:
        """Return a network with new random weights, drawn from PyTorch's global generator of the CPU."""

    @abc.abstractmethod
    def sample(self, pool: PoolT) -> SampleT:
        """Return what one gradient is taken on, drawn from the same generator."""

    @abc.abstractmethod
    def loss(self, weights: Weights, sample: SampleT, mixture: Mixture, share: float = 1.0) -> Float[Tensor, ""]:
        """Return the loss that ``mixture`` asks for, at any weights; ``share`` is that of the attack's radius."""

    @abc.abstractmethod
    def measure(self, weights: Weights, pool: PoolT, attack: SignAttack | None) -> dict[str, float]:
        """Return losses and accuracies on all of ``pool``: clean_loss, clean, adversarial_loss and robust.

        Those that there are none of are left out.
        """

    def start(self) -> Weights:
        """Return new random weights."""
        return {name: p.detach() for name, p in self.network().named_parameters()}


@final
class Classification(Problem[Images, ImageBatch]):
    """A classifier trained on batches that are drawn from a pool of images.

    Args:
        make: returns a network with random weights.
        batch_size: images a batch, drawn without repetition; at least 1.
        evaluation_batch: images that are measured at a time (batch norm goes by them).

    Raises:
        ConfigurationError: if a number is below 1.
    """

    def __init__(self, make: Callable[[], nn.Module], batch_size: int = 128, *, evaluation_batch: int = 1000) -> None:
        if min(batch_size, evaluation_batch) < 1:
            raise ConfigurationError(
                f"Batches hold at least 1 image, got batch_size={batch_size} and evaluation_batch={evaluation_batch}."
            )
        self.make = make
        self.batch_size = batch_size
        self.evaluation_batch = evaluation_batch
        with torch.random.fork_rng(devices=[]):
            self._shape = make().requires_grad_(False)  # its weights are never used: others take their place

    def network(self) -> nn.Module:
        """Return a network with new random weights."""
        return self.make()

    def sample(self, pool: Images) -> ImageBatch:
        """Return a batch of images."""
        return pool.batch(torch.randperm(len(pool))[: self.batch_size].to(pool.labels.device))

    def loss(self, weights: Weights, sample: ImageBatch, mixture: Mixture, share: float = 1.0) -> Float[Tensor, ""]:
        """Return the mixture's loss."""
        return mixture.loss(self._shape, weights, sample, share)

    def measure(self, weights: Weights, pool: Images, attack: SignAttack | None) -> dict[str, float]:
        """Return mean cross-entropies and accuracies."""
        weights = {name: w.detach() for name, w in weights.items()}
        sums: dict[str, Tensor] = {}
        for begin in range(0, len(pool), self.evaluation_batch):
            batch = pool.batch(slice(begin, begin + self.evaluation_batch))
            shown = {("clean_loss", "clean"): batch.x}
            if attack is not None:
                shown["adversarial_loss", "robust"] = attack(self._shape, weights, batch)
            for (loss, accuracy), x in shown.items():
                with torch.no_grad():
                    logits = functional_call(self._shape, dict(weights), (x,))
                    found = {loss: cross_entropy(logits, batch.y, reduction="sum")}
                    found[accuracy] = (logits.argmax(1) == batch.y).sum()
                for name, value in found.items():
                    sums[name] = sums[name] + value if name in sums else value
        return {name: float(value) / len(pool) for name, value in sums.items()}
