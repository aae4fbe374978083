"""Scikit-learn's digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch

from bilevel.errors import ConfigurationError
from tasks.vision.data.augmentation import Augmentation, NoAugmentation
from tasks.vision.data.images import Images, Split
from tasks.vision.data.partition import hold_out
from tasks.vision.data.source import Request, Source


def digits(seed: int) -> Split:
    """Return scikit-learn's digits: 1797 grey images of 8 x 8 pixels, 10 classes, embedded in that library.

    Args:
        seed: what the split depends on; each class has the same share in all parts.

    Returns:
        20 % for the test, 20 % of the rest for validation, and the rest, 1149 images, to learn from.

    Raises:
        ConfigurationError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ConfigurationError("The digits come with scikit-learn: pip install 'bilevel[vision]'.") from error
    found = load_digits()
    pixels = torch.from_numpy(found.images).to(torch.uint8).unsqueeze(1)
    images = Images(pixels, torch.from_numpy(found.target).long(), classes=10, name="digits", levels=16)
    state = seed % 2**32  # scikit-learn takes no more
    rest, test = train_test_split(range(len(images)), test_size=0.2, stratify=found.target, random_state=state)
    train, validation = train_test_split(rest, test_size=0.2, stratify=found.target[rest], random_state=state)
    parts = (images.subset(torch.tensor(part)) for part in (train, validation, test))
    return Split(*parts)


@final
@dataclass(frozen=True)
class Digits(Source):
    """Scikit-learn's digits as a source; the test images depend on the seed too."""

    augmentation: Augmentation = NoAugmentation()  # noqa: RUF009 (frozen)

    def split(self, request: Request) -> Split:
        """Return the parts.

        Raises:
            ConfigurationError: for a folder or a size, which the digits do not have, or more held-out images than
                there are.
        """
        if request.folder is not None:
            raise ConfigurationError("The digits come with scikit-learn and have no files: leave data_dir out.")
        request.refuse_size("digits")
        usual = digits(request.seed)
        if request.validation is None:
            return usual
        pixels, labels = (
            torch.cat([getattr(part, name) for part in (usual.train, usual.validation)])
            for name in ("pixels", "labels")
        )
        learn = replace(usual.train, pixels=pixels, labels=labels)
        return Split(*hold_out(learn, request.validation, request.split_seed), usual.test)
