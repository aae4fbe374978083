"""A classifier's answers to images, and whether images and answers are what they should be."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bilevel.errors import ConfigurationError, NonFiniteError, TaskError
from tasks.vision.attacks.predict import logits_of
from tasks.vision.data import ImageBatch, Images

ROUNDING = 1e-6
"""How far outside its ball an image may lie: a few roundings of float32 near 1."""


def right(model: nn.Module, x: Float[Tensor, "k c h w"], y: Int[Tensor, " k"], images: Images) -> Bool[Tensor, " k"]:
    """Return which of the images ``x`` the model classifies as ``y``, in the mode that it is in.

    Raises:
        TaskError: if its output is not (k, classes of ``images``).
        NonFiniteError: if its output is not finite.
    """
    logits = logits_of(model, x)
    if logits.shape[1] != images.classes:
        raise TaskError(
            f"{type(model).__name__} tells {logits.shape[1]} classes apart, but {images.name!r} has {images.classes}: "
            "the classifier was made for other images."
        )
    if not torch.isfinite(logits).all():
        raise NonFiniteError(
            f"{type(model).__name__} returned logits that are infinite or not a number, so it has no accuracy. Its "
            "weights are probably not finite: evaluate an earlier checkpoint."
        )
    return logits.argmax(1) == y


def check_clean(images: Images, batch: ImageBatch) -> None:
    """Raise `ConfigurationError` unless these are images and their classes."""
    if not ((batch.x >= 0) & (batch.x <= 1)).all():
        low, high = batch.x.min().item(), batch.x.max().item()
        raise ConfigurationError(
            f"The images of {images.name!r} must have pixels in [0, 1]; some lie in [{low}, {high}]. Leave them "
            "unnormalised here: what normalises belongs into the classifier."
        )
    if not ((batch.y >= 0) & (batch.y < images.classes)).all():
        low, high = batch.y.min().item(), batch.y.max().item()
        raise ConfigurationError(
            f"The labels of {images.name!r} must be whole numbers from 0 to {images.classes - 1}; some lie in "
            f"[{low}, {high}]."
        )


def check_perturbed(attack: str, x: Tensor, clean: Tensor, eps: float | None) -> None:
    """Raise unless ``x`` is what an attack within ``eps`` may return for the images ``clean``.

    Raises:
        TaskError: if it has another shape, leaves the ball (where ``eps`` is given) or leaves [0, 1].
        NonFiniteError: if it is not finite.
    """
    if x.shape != clean.shape:
        raise TaskError(f"{attack} returned images of shape {tuple(x.shape)} for images {tuple(clean.shape)}.")
    if not torch.isfinite(x).all():
        raise NonFiniteError(
            f"{attack} returned images that are not finite: the gradient of the classifier, or the rule, is not."
        )
    distance = (x - clean).abs().max().item()
    if eps is not None and distance > eps + ROUNDING:
        raise TaskError(f"{attack} changed a pixel by {distance}, more than its eps = {eps}.")
    if not ((x >= 0) & (x <= 1)).all():
        raise TaskError(f"{attack} left [0, 1]: its pixels lie in [{x.min().item()}, {x.max().item()}].")
