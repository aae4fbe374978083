"""The leader differentiates through every move of the follower, and the moves are made twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from torch import Tensor

from bilevel.counts import check_count
from bilevel.hypergradient.base import Hypergradient, LeaderGradient
from bilevel.hypergradient.recomputation import Recomputed
from bilevel.hypergradient.unrolled import Unrolled, require_answers, through
from bilevel.inner import InnerProblem
from bilevel.rollout import Rollout
from bilevel.rule_gradient import RuleGradient
from bilevel.rule_loss import RuleLoss
from bilevel.rules.protocol import State
from bilevel.tree import Tree


@final
@dataclass(frozen=True)
class Checkpointed(Hypergradient):
    r"""The same derivative as `Unrolled`, with memory for the square root of the number of updates.

    $$\frac{d}{d\theta}\, \ell(\theta, z_K(\theta)), \qquad
    z_{t+1} = \Pi\big(z_t + g(z_t, \nabla_z q(\theta, z_t), s_t)\big)$$

    The K updates are made without a graph, and $(z_t, s_t)$ is kept at every n-th of them. The backward pass goes over
    these segments from the last to the first, makes each one's n updates again, now with their graph, and pulls the
    cotangents of z and s back through it. What is kept are K/n iterates with the rule's states, and the graph of n
    updates: least at $n \approx \sqrt{K}$.

    The cost is that of `Unrolled` and K gradients of q more. The second time finds the same random numbers, modules in
    the same modes, and leaves the generators, and the buffers of the leader and of the rule, as they were. A task whose
    losses change in other ways from call to call gets a wrong gradient.

    As with `Unrolled`, a rule that is trained at the same time (``rule_optimizer``) gets the exact derivative, at no
    more cost in a zero-sum task, else by one more pass over the segments. A ``rule_loss`` that is made of the moves
    keeps all K iterates and gradients.

    Args:
        segment: n, at least 1; ``None`` for the square root of the solver's ``steps``, rounded up.

        answers: as in `Unrolled`: over how many of the last answers the leader's loss is averaged. Of each of them
            z and its gradient are kept, but not the rule's state, which an LSTM has eighty numbers a coordinate of.

    Raises:
        ConfigurationError: if one is no whole number from 1, or ``answers`` more than the follower makes a step.

    Source: Chen et al. 2016, section 3 (for layers of a network); Griewank and Walther 2000.
    """

    segment: int | None = None
    answers: int = 1
    needs_moves: ClassVar[bool] = True
    needs_graph: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.segment is not None:
            check_count("Checkpointed's segment", self.segment)
        check_count("Checkpointed's answers", self.answers)

    def check(self, problem: InnerProblem, steps: int) -> None:
        """Refuse more answers than the follower gives."""
        require_answers(self, self.answers, steps)

    def roll_out(self, problem: InnerProblem, start: Tree, state: State, **settings: Any) -> Rollout:
        """Let the follower move; the answer's graph makes the moves again when it is differentiated."""
        if settings["keep"] is not None:
            settings["keep"] = max(settings["keep"], self.answers - 1)
        length = self.segment or math.isqrt(settings["steps"] - 1) + 1
        return Recomputed(problem, length, settings).roll_out(start, state)

    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return dℓ/dθ, one segment of the moves after the other."""
        return through(rollout, self.answers)

    def both_gradients(
        self, rollout: Rollout, phi: Sequence[Tensor], rule_loss: RuleLoss, state: Any = None
    ) -> tuple[LeaderGradient, RuleGradient]:
        """Return both gradients; in a zero-sum task they come from one backward pass."""
        return Unrolled(self.answers).both_gradients(rollout, phi, rule_loss, state)
