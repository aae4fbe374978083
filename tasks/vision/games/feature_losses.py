"""What an adversarial interpolation moves the features of an image to or from."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


class FeatureLoss(abc.ABC):
    """The follower's loss of adversarial interpolation, of the features of an image and of its partner."""

    @abc.abstractmethod
    def __call__(self, feature: Float[Tensor, "n d"], partner: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """Return the mean loss, which the follower lowers.

        Args:
            feature: of the perturbed images.
            partner: of their partners, constants.
        """


@final
@dataclass(frozen=True)
class Towards(FeatureLoss):
    r"""The cosine distance, at least 0, so that the images move towards their partners.

    $$q = \frac1n \sum_i \max\big(0, 1 - \cos(e(z_i), e(x_j))\big)$$

    Source: the public code of Zhang and Xu 2020 and of Jiang et al. 2021, with which their numbers were measured.
    """

    def __call__(self, feature: Float[Tensor, "n d"], partner: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """Return the mean cosine distance."""
        return (1 - _cosine(feature, partner)).clamp(min=0).mean()


@final
@dataclass(frozen=True)
class Away(FeatureLoss):
    r"""The cosine, so that the images move away from their partners.

    $$q = \frac1n \sum_i \cos(e(z_i), e(x_j))$$

    Source: Jiang et al. 2021, Algorithms 2 and 4 (Eq. 6 prints $x_i$ for $x_j$).
    """

    def __call__(self, feature: Float[Tensor, "n d"], partner: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """Return the mean cosine."""
        return _cosine(feature, partner).mean()


def _cosine(feature: Tensor, partner: Tensor) -> Float[Tensor, " n"]:
    precise = torch.promote_types(feature.dtype, torch.float32)  # near 1 half precision has steps of 1/256
    return functional.cosine_similarity(feature.to(precise), partner.to(precise), dim=1, eps=1e-6)
