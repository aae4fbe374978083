"""A trial of a classifier, before any work is done with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import Images


def check_classifier(model: nn.Module, images: Images) -> None:
    """Raise unless ``model`` returns logits (n, classes) for two of ``images``; it is left as it was.

    Raises:
        ConfigurationError: naming what it returns instead.
    """
    name, x = type(model).__name__, images.batch(slice(0, 2)).x
    try:
        with undisturbed(model, device=x.device, seed=0), torch.no_grad():
            logits = model(x)
    except RuntimeError as error:
        raise ConfigurationError(
            f"The classifier {name} cannot take the images of {images.name}, whose shape is {tuple(x.shape)}: {error}"
        ) from error
    wanted, found = (len(x), images.classes), tuple(getattr(logits, "shape", ()))
    if not isinstance(logits, Tensor) or found != wanted:
        got = f"shape {found}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ConfigurationError(
            f"The classifier {name} must return logits of shape (n, classes), {wanted} for {len(x)} images of "
            f"{images.name}; it returns {got}."
        )
