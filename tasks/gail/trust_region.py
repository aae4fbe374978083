"""TRPO, with the products of its conjugate gradient by hand."""

from __future__ import annotations

import warnings
from typing import final

import torch
from jaxtyping import Float
from sb3_contrib import TRPO
from torch import Tensor, nn

from tasks.gail.actors import PerceptronActor
from tasks.gail.fisher import PerceptronFisher
from tasks.gail.value_fit import fit_values, reads_values


@final
class TrustRegion(TRPO):
    """sb3-contrib's TRPO: the same steps, but for rounding, in less than half the time.

    The products with the Fisher matrix are those of `PerceptronFisher`, and all weights' gradients come from one pass,
    where that code differentiates the divergence twice and goes back once for each weight; the value function is
    `fit_values`. A policy that is no perceptron is moved by that code as it is.
    """

    def train(self) -> None:
        """Move the policy, then its value function."""
        if not (PerceptronActor.reads(self.policy) and reads_values(self.policy)):
            super().train()
            return
        passes, self.n_critic_updates = self.n_critic_updates, 0
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)  # of value losses
                warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
                super().train()
        finally:
            self.n_critic_updates = passes
        returns = torch.from_numpy(self.rollout_buffer.returns.flatten()).to(self.device)
        loss = fit_values(self.policy, self._seen(), returns, passes=passes, batch_size=self.batch_size)
        self.logger.record("train/value_loss", loss)

    def _compute_actor_grad(
        self, kl_div: Tensor, policy_objective: Tensor
    ) -> tuple[list[nn.Parameter], Tensor, Tensor, list[tuple[int, ...]]]:
        """Return the policy's weights, the objective's gradient, nothing that is used, and the weights' shapes."""
        self._fisher: PerceptronFisher | None = None
        if not PerceptronActor.reads(self.policy):
            return super()._compute_actor_grad(kl_div, policy_objective)
        self._fisher = PerceptronFisher(self.policy, self._seen()[:: self.sub_sampling_factor])
        weights = self._fisher.parameters
        gradients = torch.autograd.grad(policy_objective, weights)
        shapes = [tuple(weight.shape) for weight in weights]
        return weights, torch.cat([one.reshape(-1) for one in gradients]), torch.zeros(()), shapes

    def hessian_vector_product(
        self,
        params: list[nn.Parameter],
        grad_kl: Tensor,
        vector: Float[Tensor, " size"],
        retain_graph: bool = True,
    ) -> Float[Tensor, " size"]:
        """Return the product with the Fisher matrix, damped."""
        if self._fisher is None:
            return super().hessian_vector_product(params, grad_kl, vector, retain_graph)
        return self._fisher(vector) + self.cg_damping * vector

    def _seen(self) -> Float[Tensor, "rows inputs"]:
        """Return what the first layers see of the buffer, whose arrays have been flattened by then."""
        with torch.no_grad():
            features = self.policy.extract_features(torch.from_numpy(self.rollout_buffer.observations).to(self.device))
        assert isinstance(features, Tensor)
        return features
