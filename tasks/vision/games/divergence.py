"""How far two predictions of a classifier are apart."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def divergence(wanted: Float[Tensor, "n classes"], logits: Float[Tensor, "n classes"]) -> Float[Tensor, ""]:
    r"""Return the mean Kullback-Leibler divergence of two predictions, given as logits.

    $$\frac1n \sum_i \mathrm{KL}(p_i \,\|\, q_i) = \frac1n \sum_i \sum_c p_{ic} \log \frac{p_{ic}}{q_{ic}}, \qquad
    p = \mathrm{softmax}(\text{wanted}),\ q = \mathrm{softmax}(\text{logits})$$

    Args:
        wanted: logits of p.
        logits: logits of q.
    """
    p, q = functional.log_softmax(wanted, 1), functional.log_softmax(logits, 1)
    return functional.kl_div(q, p, reduction="batchmean", log_target=True)
