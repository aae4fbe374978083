"""A learned attacker, used as an attack."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bilevel.errors import ConfigurationError
from bilevel.rules.protocol import Rule
from bilevel.starts import Center, Start
from tasks.vision.attacks.base import Attack, check_count, check_eps
from tasks.vision.attacks.digest import digest
from tasks.vision.attacks.frozen import FrozenClassifier, Loss
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.attacks.walk import walk
from tasks.vision.data import ImageBatch


@final
@dataclass(frozen=True, eq=False)
class Learned(Attack):
    r"""An update rule, as it was trained, let loose on a classifier (Jiang et al. 2021, Table 2, "own attacker").

    The rule is used in evaluation mode, so that its batch norm does not mix the samples of a batch. Two mixtures
    remain where the rule's inputs have them: a gradient divided by the batch's largest, and a raw gradient, whose
    size goes with 1/n under the default loss. Such a rule attacks a sample a little differently in another batch.

    Args:
        rule: the rule; every optimizer of TorchOpt will do.
        eps: the ball's radius, for pixels in [0, 1].
        steps: how many times the rule is applied; the last iterate counts.
        start: where it begins, from the clean image, as it was trained.
        loss: whose gradient the rule sees, of logits and labels; the default is the mean cross-entropy, as in training.
        label: the attack's name in tables.
        seed: for a random start and for a rule that sees noise.

    Raises:
        ConfigurationError: for a radius or a number of steps out of range, or a ``rule`` that is none.
    """

    rule: Rule
    eps: float
    steps: int = 1
    start: Start = Center()  # noqa: RUF009 (frozen)
    loss: Loss = F.cross_entropy
    label: str = "own attacker"
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("Learned", self.eps)
        check_count("Learned", "steps", self.steps)
        if isinstance(self.rule, type) or not isinstance(self.rule, Rule):
            raise ConfigurationError(
                f"Learned: the rule must have init and update, as those of bilevel.learned have; got {self.rule!r}."
            )

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def identity(self) -> str:
        """The settings, and a digest of the rule's weights."""
        weights = digest(self.rule) if isinstance(self.rule, nn.Module) else ""
        settings = {field.name: repr(getattr(self, field.name)) for field in fields(self) if field.name != "loss"}
        return f"{settings} {getattr(self.loss, '__qualname__', self.loss)!r} {weights}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, steps and start."""
        return {"eps": self.eps, "norm": "linf", "steps": self.steps, "start": repr(self.start)}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the images after the rule's last update."""
        task = FrozenClassifier(model, eps=self.eps, start=self.start, loss=self.loss)
        modules = [model, self.rule] if isinstance(self.rule, nn.Module) else [model]
        with undisturbed(*modules, device=batch.x.device, seed=self.seed):
            return walk(task, self.rule, batch, [self.steps])[-1]
