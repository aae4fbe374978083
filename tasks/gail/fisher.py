"""The Fisher matrix of a perceptron's actions, as a map of vectors."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from bilevel.vector import join, split


@final
class PerceptronFisher:
    r"""Products with $F = J^\top C J$, the Hessian of the mean divergence of a policy from itself.

    J is the Jacobian of the network's outputs in its weights, and C the curvature of the divergence in the outputs: of
    logits with probabilities p it is $(\mathrm{diag}(p) - p p^\top) / n$, of k Gaussian means $\sigma^{-2} / (n k)$,
    and of the logarithms of the σ's, which are weights themselves, $2 / k$. (n k since stable-baselines3 takes the mean
    over the dimensions of an action too.)

    J v goes forward through the layers beside the activations, which are kept, and $J^\top$ is one pass back. Twice
    differentiating the divergence gives the same products in more than twice the time.

    Source: Schulman et al. 2015, appendix C.1.

    Args:
        policy: a policy for which `tasks.gail.actors.PerceptronActor.reads` holds.
        features: what its first layer sees, a row an observation.
    """

    def __init__(self, policy: ActorCriticPolicy, features: Float[Tensor, "n inputs"]) -> None:
        modules = [*policy.mlp_extractor.policy_net, policy.action_net]
        layers = [one for one in modules if isinstance(one, nn.Linear)]
        self.parameters = [p for one in layers for p in one.parameters()]
        self._weights = [one.weight.detach() for one in layers]
        self._slopes: list[Tensor] = []
        self._activations = [features]
        rectified = any(isinstance(one, nn.ReLU) for one in modules)
        with torch.no_grad():
            for layer in layers[:-1]:
                out = layer(self._activations[-1])
                out = out.relu_() if rectified else out.tanh_()
                self._activations.append(out)
                self._slopes.append((out > 0).to(out) if rectified else 1 - out.square())
            self._probabilities: Tensor | None = None
            self._precision: Tensor | None = None
            if isinstance(policy.action_dist, CategoricalDistribution):
                self._probabilities = layers[-1](self._activations[-1]).softmax(1)
            else:
                self._precision = (-2 * policy.log_std.detach()).exp() / (len(features) * len(policy.log_std))
                self.parameters.append(policy.log_std)

    def __call__(self, vector: Float[Tensor, " size"]) -> Float[Tensor, " size"]:
        """Return F v, of the entries of ``parameters`` one after another."""
        with torch.no_grad():
            return join(self._product(split(vector, self.parameters)))

    def _product(self, direction: list[Tensor]) -> list[Tensor]:
        moved: Tensor | None = None  # how the layer's input moves
        for layer, weight in enumerate(self._weights):
            out = self._activations[layer] @ direction[2 * layer].T + direction[2 * layer + 1]
            if moved is not None:
                out += moved @ weight.T
            moved = out if layer == len(self._slopes) else out.mul_(self._slopes[layer])
        assert moved is not None
        back = self._curved(moved)
        product: list[Tensor] = []
        for layer in reversed(range(len(self._weights))):
            product = [back.T @ self._activations[layer], back.sum(0), *product]
            if layer:
                back = (back @ self._weights[layer]).mul_(self._slopes[layer - 1])
        if self._precision is not None:
            product.append(2 / len(self._precision) * direction[-1])
        return product

    def _curved(self, outputs: Tensor) -> Tensor:
        """Return C u."""
        if self._precision is not None:
            return outputs * self._precision
        p = self._probabilities
        assert p is not None
        return p * (outputs - (p * outputs).sum(1, keepdim=True)) / len(p)
