"""A method's own attacker, used as an attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.inner import InnerProblem
from bilevel.leader import parameters_of
from bilevel.rules.protocol import Rule
from bilevel.starts import Center, Start
from tasks.vision.attacks.base import Attack, check_count, check_eps
from tasks.vision.attacks.digest import digest
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch
from tasks.vision.games import Game, Robust, Terms


@final
@dataclass(frozen=True, eq=False)
class OwnAttack(Attack):
    """A rule as it was trained, in the game in which it was trained, let loose on a classifier.

    In the game of `Robust` it is the attack `Learned`. In others the rule sees the gradient of another loss; in
    `Interpolation` an image is moved by another of its batch, so that its perturbation depends on the batch.

    The rule is in evaluation mode.

    Args:
        rule: the rule.
        eps: the ball's radius, for pixels in [0, 1].
        game: what the rule was trained for.
        steps: how many times the rule is applied; the last iterate counts.
        start: where it begins, from the clean image, as it was trained.
        label: the attack's name in tables.
        seed: for what is random.

    Raises:
        ConfigurationError: for a radius or a number of steps out of range.

    Source: Jiang et al. 2021, Table 2, "own attacker", and Figure 5.
    """

    rule: Rule
    eps: float
    game: Game = Robust()  # noqa: RUF009 (frozen)
    steps: int = 1
    start: Start = Center()  # noqa: RUF009 (frozen)
    label: str = "own attacker"
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("OwnAttack", self.eps)
        check_count("OwnAttack", "steps", self.steps)

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def identity(self) -> str:
        """The settings, and a digest of the rule's weights."""
        rule = digest(self.rule) if isinstance(self.rule, nn.Module) else repr(self.rule)
        return f"{self.label} {self.eps} {self.game} {self.steps} {self.start} {self.seed} {rule}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, steps and start."""
        return {"eps": self.eps, "norm": "linf", "steps": self.steps, "start": repr(self.start)}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the images after the rule's last update.

        Raises:
            ConfigurationError: if ``model`` does not fit the game.
        """
        task = self.game.task(model, Terms(self.eps, self.start))
        modules = [model, self.rule] if isinstance(self.rule, nn.Module) else [model]
        with undisturbed(*modules, device=batch.x.device, seed=self.seed):
            z = task.start(batch)
            problem = InnerProblem(task, batch, self.rule, parameters_of(model))
            answer: Tensor = problem.roll_out(z, self.rule.init(z), steps=self.steps, keep=0).answer
        return answer
