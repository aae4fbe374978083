"""The leader of imitation learning: a policy that is moved by an algorithm of stable-baselines3."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Float
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from bilevel.errors import ConfigurationError, NonFiniteError
from bilevel.leader import Gradient, Leader, LeaderUpdate
from bilevel.tree import Tree, leaves, norms
from tasks.gail.environments import VectorEnvironment
from tasks.gail.rollouts import Collector, Rollout, write
from tasks.gail.standardise import Standardise

REPORTED = {
    "train/kl_divergence_loss": "kl",
    "train/approx_kl": "kl",
    "train/policy_objective": "policy_objective",
    "train/value_loss": "value_loss",
    "train/explained_variance": "explained_variance",
    "train/is_line_search_success": "line_search_success",
}
"""What an algorithm reports of its update, by its name in the log."""


@final
class Learner(LeaderUpdate):
    r"""Moves a policy by an on-policy algorithm, for the rewards that the follower's answer gives.

    A step is: `collect` plays the policy, the follower moves on what happened, and `update` puts the rewards
    $r(s, a; z)$ of its answer z into the rollout, with advantages by GAE(λ) and the value of the state where an episode
    was cut off by its time limit, and lets the algorithm train. True rewards are not used, but reported.

    Args:
        algorithm: any on-policy algorithm of stable-baselines3 or sb3-contrib whose policy keeps no state between
            steps; its ``learn`` is not called.
        environments: where the policy plays.
        rewards: the rewards of the state-action pairs of a batch, from the batch and the answer.
        iterations: how many updates there will be, for schedules.
        seed: of the actions' noise.

    Raises:
        ConfigurationError: for noise that depends on the state, or a recurrent policy.

    Attributes:
        numbers: what the last iteration was, by name: the log's columns.
    """

    uses_gradient: ClassVar[bool] = False

    def __init__(
        self,
        algorithm: OnPolicyAlgorithm,
        environments: VectorEnvironment,
        rewards: Callable[[Any, Tree], Float[Tensor, " rows"]],
        *,
        iterations: int,
        seed: int,
    ) -> None:
        if algorithm.use_sde or hasattr(algorithm.policy, "lstm_actor"):
            what = "Noise that depends on the state (use_sde)" if algorithm.use_sde else "A recurrent policy"
            raise ConfigurationError(f"{what} is not supported: the rollouts here keep no such state between steps.")
        self.algorithm = algorithm
        self.rewards = rewards
        self.iterations = iterations
        self.collector = Collector(algorithm, environments, np.random.default_rng(seed))
        self.numbers: dict[str, float] = {}
        self._updates = 0
        self._rollout: Rollout | None = None
        algorithm.set_logger(Logger(None, []))  # it would print otherwise

    def collect(self) -> Rollout:
        """Play the policy for the steps of one iteration."""
        self._rollout = self.collector.collect()
        return self._rollout

    def parameters(self, leader: Leader) -> list[Tensor]:
        """Return none: no gradient of ours moves the policy."""
        return []

    def update(self, batch: Any, answer: Tree, gradient: Gradient | None) -> None:
        """Let the algorithm train on the last rollout, with the rewards of ``answer``.

        Raises:
            ConfigurationError: if nothing was played since the last update.
            NonFiniteError: if a reward is not finite, where the policy is left as it was; or if the policy's weights
                are not after its update.
        """
        if self._rollout is None:
            raise ConfigurationError("Learner.update was called before Learner.collect: play first.")
        rollout, self._rollout = self._rollout, None
        with torch.no_grad():
            rewards = self.rewards(batch, answer)
        (size,) = norms(leaves(answer))
        if not bool(rewards.isfinite().all()):
            raise NonFiniteError(
                f"The discriminator gives rewards that are not finite (the norm of its weights is {float(size):.3g}): "
                "its updater diverged. The policy was not moved. Try a smaller rate, a bounded updater or the proximal "
                "loss."
            )
        algorithm, buffer = self.algorithm, self.algorithm.rollout_buffer
        write(rewards, buffer.rewards)
        buffer.rewards += rollout.bootstrap
        buffer.compute_returns_and_advantage(rollout.last_values, rollout.last_done)
        self._updates += 1
        algorithm._update_current_progress_remaining(self._updates, self.iterations)  # noqa: SLF001 (for schedules)
        self._train()
        extractor = algorithm.policy.features_extractor
        if isinstance(extractor, Standardise):
            extractor.observe(rollout.observations.flatten(1))
        self._report(rollout, rewards, float(size))

    def _train(self) -> None:
        algorithm = self.algorithm
        advice = "Its algorithm diverged: take a smaller learning rate or, with trpo, smaller steps (kl, damping)."
        try:
            algorithm.train()
        except (ArithmeticError, ValueError) as error:  # a distribution of NaN, a search that divides by zero
            raise NonFiniteError(f"The policy could not be moved ({_first_line(error)}). {advice}") from error
        (size,) = norms([p.detach() for p in algorithm.policy.parameters()])
        if not math.isfinite(size):
            raise NonFiniteError(f"The policy's weights are not finite after its update. {advice}")

    def _report(self, rollout: Rollout, rewards: Float[Tensor, " rows"], size: float) -> None:
        reported = self.algorithm.logger.name_to_value
        # The share of variance is not known where all returns are the same.
        known = {theirs: float(reported[theirs]) for theirs in REPORTED if not np.isnan(reported.get(theirs, np.nan))}
        self.numbers = {
            "environment_steps": float(self.algorithm.num_timesteps),
            "episodes": float(len(rollout.returns)),
        }
        if rollout.returns:  # in a short iteration none may end
            self.numbers |= {
                "return": float(np.mean(rollout.returns)),
                "return_min": float(np.min(rollout.returns)),
                "length": float(np.mean(rollout.lengths)),
            }
        self.numbers |= {"reward": float(rewards.mean()), "entropy": rollout.entropy, "discriminator_norm": size}
        self.numbers |= {REPORTED[theirs]: value for theirs, value in known.items()}
        self.algorithm.logger.dump()  # which forgets them

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's, the environments' and the noise's state; the policy's own is the leader's."""
        if self._rollout is not None:
            raise AssertionError("save between two iterations")
        return {
            "optimizer": self.algorithm.policy.optimizer.state_dict(),
            "collector": self.collector.state_dict(),
            "environment_steps": self.algorithm.num_timesteps,
            "algorithm_updates": self.algorithm._n_updates,  # noqa: SLF001
            "updates": self._updates,
            "numbers": dict(self.numbers),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called."""
        self.algorithm.policy.optimizer.load_state_dict(state["optimizer"])
        self.collector.load_state_dict(state["collector"])
        self.algorithm.num_timesteps = state["environment_steps"]
        self.algorithm._n_updates = state["algorithm_updates"]  # noqa: SLF001
        self._updates = state["updates"]
        self.numbers = dict(state["numbers"])
        self._rollout = None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
