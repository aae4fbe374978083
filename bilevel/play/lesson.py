"""A lesson: the rule leads, and the one who follows is the leader of the game, who learns from the rule's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from bilevel.inner import InnerProblem
from bilevel.leader import parameters_of
from bilevel.other_weights import with_weights
from bilevel.rules.protocol import Rule
from bilevel.task import Task
from bilevel.tree import Tree, detach


@final
class Lesson(Task[nn.Module, Any]):
    r"""A bilevel problem in which φ leads and the weights θ of the game's leader, the pupil, follow.

    $$\min_\phi \ \ell(w, z^*(w); b') \qquad \text{where } w \text{ starts at } \theta \text{ and lowers }
    \ell(w, z_\phi; b)$$

    z_φ is the rule's answer on a batch b, which carries the graph to φ; z* is the answer of another rule, the examiner,
    to the pupil on a batch b', a constant. The game's own task says what ℓ is.

    Args:
        game: the task of the game, whose leader is a module.
        rule: the rule, with the parameters φ.
        moved: the weights that the game's leader learns.
        batch: b.
        answer: z_φ.
        exam: b'.
        examiner: the rule that answers there.
        steps: how many steps the examiner takes.
    """

    def __init__(
        self,
        game: Task[nn.Module, Any],
        rule: nn.Module,
        moved: Sequence[Tensor],
        *,
        batch: Any,
        answer: Tree,
        exam: Any,
        examiner: Rule,
        steps: int,
    ) -> None:
        super().__init__(leader=rule)
        self.game = game
        self.moved = moved
        self.batch = batch
        self.answer = answer
        self.exam = exam
        self.examiner = examiner
        self.steps = steps

    def start(self, batch: Any) -> dict[str, Tensor]:
        """Return the weights that the game's leader learns, by name, as constants."""
        moved = {id(p) for p in self.moved}
        return {name: p.detach() for name, p in self.game.leader.named_parameters() if id(p) in moved}

    def follower_loss(self, batch: Any, z: dict[str, Tensor]) -> Tensor:
        """Return what the pupil lowers: the loss at the rule's answer, in the mode in which the leader learns."""
        return with_weights(self.game.leader, z, lambda: self.game.leader_loss(self.batch, self.answer))

    def leader_loss(self, batch: Any, z: dict[str, Tensor]) -> Tensor:
        """Return what the pupil is judged by: the loss at the examiner's answer, in the mode of ``rule_context``."""
        pupil = self.game.leader
        with self.game.rule_context():
            seen = with_weights(pupil, detach(z), self._examine)
            return with_weights(pupil, z, lambda: self.game.leader_loss(self.exam, seen))

    def _examine(self) -> Tree:
        start = self.game.start(self.exam)
        problem = InnerProblem(self.game, self.exam, self.examiner, parameters_of(self.game.leader))
        return problem.roll_out(start, self.examiner.init(detach(start)), steps=self.steps, keep=0).answer
