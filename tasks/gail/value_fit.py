"""The regression of a perceptron's values, with its gradients by hand."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn


def reads_values(policy: ActorCriticPolicy) -> bool:
    """Whether ``policy`` has a value function that is a perceptron of tanh units, apart from its actions."""
    kinds = [type(one) for one in policy.mlp_extractor.value_net]
    return set(kinds[::2]) <= {nn.Linear} and set(kinds[1::2]) <= {nn.Tanh}


def fit_values(
    policy: ActorCriticPolicy,
    features: Float[Tensor, "n inputs"],
    returns: Float[Tensor, " n"],
    *,
    passes: int,
    batch_size: int,
) -> float:
    r"""Let the policy's optimizer lower $\mathrm{mean}_i (V(x_i) - R_i)^2$, batch by batch.

    The gradients are those of autograd, but for rounding; for a hundred small batches its bookkeeping takes most of the
    time. The batches are those that stable-baselines3's buffer draws, from NumPy's global generator.

    Args:
        policy: a policy for which `reads_values` holds.
        features: x, what the first layer sees.
        returns: R.
        passes: how often all pairs are gone through.
        batch_size: pairs a step.

    Returns:
        The mean loss over all steps.
    """
    layers = [one for one in (*policy.mlp_extractor.value_net, policy.value_net) if isinstance(one, nn.Linear)]
    losses: list[Tensor] = []
    with torch.no_grad():
        policy.optimizer.zero_grad()
        for _ in range(passes):
            order = torch.from_numpy(np.random.permutation(len(features)))  # noqa: NPY002 (theirs)
            pairs = zip(*(torch.split(one[order], batch_size) for one in (features, returns)), strict=True)
            for seen, wanted in pairs:
                losses.append(_write_gradients(layers, seen, wanted))
                policy.optimizer.step()
        policy.optimizer.zero_grad()
    return float(torch.stack(losses).mean())


def _write_gradients(layers: list[nn.Linear], seen: Tensor, wanted: Tensor) -> Tensor:
    """Write the gradient of the loss on a batch into ``.grad``, and return the loss."""
    activations = [seen]
    for layer in layers[:-1]:
        activations.append(torch.addmm(layer.bias, activations[-1], layer.weight.T).tanh_())
    error = torch.addmm(layers[-1].bias, activations[-1], layers[-1].weight.T).squeeze(1).sub_(wanted)
    back = (2 / len(wanted) * error)[:, None]
    for number in reversed(range(len(layers))):
        layer = layers[number]
        layer.weight.grad, layer.bias.grad = back.T @ activations[number], back.sum(0)
        if number:
            out = activations[number]
            slopes = torch.addcmul(out.new_ones(()), out, out, value=-1)
            back = (back @ layer.weight).mul_(slopes)
    return error.square().mean()
