"""Adversarial interpolation: images move in feature space by one another, and their labels with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from tasks.vision.data import ImageBatch
from tasks.vision.games.base import Game
from tasks.vision.games.constant import AttackConstant
from tasks.vision.games.feature_losses import FeatureLoss, Towards
from tasks.vision.games.pairings import Pairing, Reversed
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.games.terms import Terms
from tasks.vision.networks import Classifier


def interpolated_labels(
    y: Int[Tensor, " n"],
    partner: Int[Tensor, " n"],
    classes: int,
    label_eps: float,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n classes"]:
    r"""Return labels that move away from the partner's class.

    $$\tilde y_i = (1 - \epsilon_y)\, y_i + \epsilon_y \frac{1 - y_j}{C - 1}$$

    Args:
        y: the classes of the images.
        partner: those of their partners.
        classes: C, at least 2.
        label_eps: ε_y, in [0, 1].
        dtype: of the answer.

    Source: Jiang et al. 2021, Eq. 6 and Algorithm 2; Zhang and Xu 2020.
    """
    own, other = (functional.one_hot(one, classes).to(dtype) for one in (y, partner))
    return (1 - label_eps) * own + label_eps * (1 - other) / (classes - 1)


@final
class InterpolationTraining(PerturbedImages):
    r"""The follower moves the feature of an image by that of a partner; the leader learns labels that move too.

    $$\ell = \frac1n \sum_i \mathrm{CE}(f_\theta(z_i), \tilde y_i), \qquad
    q = \frac1n \sum_i q(e_\theta(z_i), e_\theta(x_j)), \qquad
    \tilde y_i = (1 - \epsilon_y)\, y_i + \epsilon_y \frac{1 - y_j}{C - 1}$$

    with e the last pooled feature. A general-sum game. The partners' features are constants, computed once an attack.

    The text of Jiang et al. 2021 lets the follower minimise the cosine, away from the partner (`Away`). Their code and
    that of Zhang and Xu 2020 minimise one minus the cosine, towards it, while the label moves away from the partner's
    class (`Towards`). The default is the code's, because that is the method whose numbers were measured.

    Args:
        model: the classifier, with an ``embed`` and a ``classify`` as `Classifier` has them.
        terms: on what terms images are perturbed; the authors' code attacks in evaluation mode.
        label_eps: ε_y, how far labels move, in [0, 1].
        feature_loss: q.
        pairing: who is whose partner; drawn anew for each attack. The default is the code's.

    Raises:
        ConfigurationError: if a number is out of range, the model has no feature to look at, or the beginning
            remembers earlier visits.

    Source: Jiang et al. 2021, Eq. 5 and 6; Zhang and Xu 2020.
    """

    def __init__(
        self,
        model: nn.Module,
        terms: Terms,
        *,
        label_eps: float = 0.5,
        feature_loss: FeatureLoss = Towards(),  # noqa: B008 (frozen)
        pairing: Pairing = Reversed(),  # noqa: B008 (frozen)
    ) -> None:
        _check(label_eps)
        if not all(callable(getattr(model, part, None)) for part in ("embed", "classify")):
            raise ConfigurationError(
                f"Adversarial interpolation looks at the last feature of the classifier, and {type(model).__name__} "
                "has no embed(x) and classify(feature): use a tasks.vision.networks.Classifier, or wrap the network in "
                "tasks.vision.networks.WithFeatures."
            )
        super().__init__(model, terms)
        if self.remembers:
            raise ConfigurationError(
                "In adversarial interpolation an image has other partners at each visit, and what a warm start keeps, "
                "the sign of the leader's gradient, is nothing to the follower: leave the warm start out."
            )
        self._classifier = cast("Classifier", model)
        self.label_eps = label_eps
        self.feature_loss = feature_loss
        self.pairing = pairing
        self._partners = AttackConstant(lambda x: pairing(len(x), x.device))
        self._partner_features = AttackConstant(self._embed_partners)

    def start(self, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return where the attack begins; its partners are others than those of the last."""
        self._partners.forget()
        self._partner_features.forget()
        return super().start(batch)

    def leader_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the cross-entropy of the perturbed images with their moved labels."""
        return self._cross_entropy(batch, self.leader(z))

    def follower_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the loss of the perturbed images' features; nothing is computed above them."""
        feature = self._embed(z)
        if z.data_ptr() == batch.x.data_ptr() and not self._partner_features.knows(batch.x):
            # An attack from the clean images: the partners' features are those of the batch in another order.
            self._partner_features.note(batch.x, feature[self._partners(batch.x)])
        return self.feature_loss(feature, self._partner_features(batch.x))

    def losses(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return both losses from one pass, in the mode of the leader."""
        feature = self._embed(z)
        leader = self._cross_entropy(batch, self._classifier.classify(feature))
        return leader, self.feature_loss(feature, self._partner_features(batch.x))

    def _cross_entropy(self, batch: ImageBatch, logits: Tensor) -> Tensor:
        classes = self.checked(batch, logits).shape[1]
        partner = batch.y[self._partners(batch.x)]
        precise = torch.promote_types(logits.dtype, torch.float32)
        labels = interpolated_labels(batch.y, partner, classes, self.label_eps, precise)
        return functional.cross_entropy(logits.to(precise), labels)

    def _embed(self, x: Tensor) -> Float[Tensor, "n d"]:
        return self._classifier.embed(x)

    def _embed_partners(self, x: Tensor) -> Tensor:
        with self.inner_context():
            return self._embed(x[self._partners(x)])


@final
@dataclass(frozen=True)
class Interpolation(Game):
    """The game of `InterpolationTraining`.

    Args:
        label_eps: ε_y, how far labels move, in [0, 1]. Jiang et al. 2021 have 0.5, their two-step script 0.9.
        feature_loss: what the follower lowers; `Towards` (their code, and the default) or `Away` (their text).
        pairing: who is whose partner; `Reversed` (their code, and the default) or `RandomOther` (their text).

    Raises:
        ConfigurationError: if ``label_eps`` is out of range.
    """

    label_eps: float = 0.5
    feature_loss: FeatureLoss = Towards()  # noqa: RUF009 (frozen)
    pairing: Pairing = Reversed()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        _check(self.label_eps)

    def task(self, model: nn.Module, terms: Terms) -> InterpolationTraining:
        """Return the task.

        Raises:
            ConfigurationError: as `InterpolationTraining` does.
        """
        return InterpolationTraining(
            model, terms, label_eps=self.label_eps, feature_loss=self.feature_loss, pairing=self.pairing
        )


def _check(label_eps: float) -> None:
    if not (math.isfinite(label_eps) and 0 <= label_eps <= 1):
        raise ConfigurationError(
            f"label_eps, how far the labels of adversarial interpolation move, must be in [0, 1], got {label_eps}."
        )
