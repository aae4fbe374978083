"""The task of a rule that learns to train networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.rollout import Rollout
from bilevel.rule_loss import RuleLoss
from bilevel.task import Task
from tasks.meta.attack import Weights
from tasks.meta.mixture import Mixture
from tasks.meta.problems import Problem


@final
class Training(Task[nn.Module | None, Any]):
    r"""The follower's answer is a network's weights z, which live on for an episode and then begin anew at random.

    The rule is shown the gradient of one loss and judged by another:

    $$z_{t+1} = z_t + g_\phi(\nabla_z \ell_\text{shown}(z_t)), \qquad
    \min_\phi\ \sum_t \ell_\text{judged}(z_t)$$

    With the same mixture twice this is Serban et al. 2020. With clean images to be shown and adversarial ones to be
    judged by, the rule learns what it will have to do at the transfer: to make networks robust that it sees nothing but
    clean gradients of. A batch is the whole pool of images; each evaluation of a loss draws some from it.

    Args:
        problem: whose weights.
        shown: the loss whose gradient the rule sees.
        judged: the loss that φ is to lower.
        episode: how many steps of the solver an episode has.
        leader: the rule, if it leads (see `tasks.meta.estimators`); ``None`` if φ is the follower's own.
        share: which part of the attack's radius is allowed to begin with, in [0, 1].
    """

    def __init__(
        self,
        problem: Problem[Any, Any],
        *,
        shown: Mixture,
        judged: Mixture,
        episode: int,
        leader: nn.Module | None = None,
        share: float = 1.0,
    ) -> None:
        super().__init__(leader, lives_on=True, episode=episode)
        self.problem = problem
        self.shown = shown
        self.judged = judged
        self.share = share
        self._showing = False

    @property
    def one_loss(self) -> bool:
        """Whether the rule is judged by what it is shown."""
        return self.shown == self.judged

    def start(self, batch: Any) -> Weights:
        """Return new random weights."""
        return self.problem.start()

    def follower_loss(self, batch: Any, z: Weights) -> Float[Tensor, ""]:
        """Return what the rule is shown, within ``inner_context``, and what it is judged by elsewhere."""
        return self._loss(self.shown if self._showing else self.judged, batch, z)

    def leader_loss(self, batch: Any, z: Weights) -> Float[Tensor, ""]:
        """Return what the rule is judged by."""
        return self._loss(self.judged, batch, z)

    def inner_context(self) -> AbstractContextManager[Any]:
        """Return the context of the passes whose gradients feed the rule."""
        return self._shows()

    def state_dict(self) -> dict[str, Any]:
        """Return the present episode's length and the share of the radius, which a curriculum changes."""
        return {"episode": self.episode, "share": self.share}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them up."""
        self.episode, self.share = state["episode"], state["share"]

    def _loss(self, mixture: Mixture, batch: Any, z: Weights) -> Tensor:
        return self.problem.loss(z, self.problem.sample(batch), mixture, self.share)

    @contextmanager
    def _shows(self) -> Iterator[None]:
        self._showing = True
        try:
            yield
        finally:
            self._showing = False


@final
@dataclass(frozen=True)
class JudgedOverSteps(RuleLoss):
    r"""What the rule is judged by, summed over its answers, $\sum_{t=1}^K \ell_\text{judged}(z_t(\phi))$.

    `bilevel.SummedOverSteps` takes the gradients that fed the rule, which are those of another loss here; this costs a
    pass an answer.
    """

    def addition(self, rollout: Rollout) -> Tensor | None:
        """Return the sum over the answers before the last."""
        losses = [rollout.problem.follower_loss(z) for z in rollout.iterates[1:-1]]
        return sum(losses[1:], losses[0]) if losses else None


def require_updates(horizon: int, truncation: int, what: str = "horizon") -> int:
    """Return how many windows of ``truncation`` updates an episode of ``horizon`` updates has.

    Raises:
        ConfigurationError: if it has none, or ends within one.
    """
    if horizon < truncation:
        raise ConfigurationError(
            f"The {what}, {horizon} updates, is shorter than the truncation, {truncation} updates, after which the "
            f"rule moves: choose a {what} of at least {truncation}, or a shorter truncation."
        )
    if horizon % truncation:
        raise ConfigurationError(
            f"The {what} must be a multiple of the truncation, got {horizon} and {truncation} updates: choose "
            f"{horizon - horizon % truncation}, or another truncation."
        )
    return horizon // truncation
