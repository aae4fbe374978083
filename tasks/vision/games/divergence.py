"""How far two predictions of a classifier are apart."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def divergence(wanted: Float[Tensor, "n classes"], logits: Float[Tensor, "n classes"]) -> Float[Tensor, ""]:
    r"""Return the mean Kullback-Leibler divergence of two predictions, given as logits.

    $$\frac1n \sum_i \mathrm{KL}(p_i \,\|\, q_i) = \frac1n \sum_i \sum_c p_{ic} \log \frac{p_{ic}}{q_{ic}}, \qquad
    p = \mathrm{softmax}(\text{wanted}),\ q = \mathrm{softmax}(\text{logits})$$

    It is computed in single precision at least: the nearer the predictions are, the more of each would be lost.

    Args:
        wanted: logits of p.
        logits: logits of q.
    """
    precise = torch.promote_types(logits.dtype, torch.float32)
    p, q = (functional.log_softmax(one, 1, dtype=precise) for one in (wanted, logits))
    return functional.kl_div(q, p, reduction="batchmean", log_target=True)
