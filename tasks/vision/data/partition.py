"""Parts of a set of images, in which each class has its share."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from bilevel.errors import ConfigurationError
from tasks.vision.data.images import Images


def stratified(labels: Int64[Tensor, " n"], count: int, seed: int) -> Int64[Tensor, " count"]:
    r"""Return the places of ``count`` samples, of which each class has its share.

    Of a class with n_c of the n samples there are ⌊count · n_c / n⌋; what is left goes, one each, to the classes
    with the largest remainders, of equal ones to the first. Which samples these are is drawn uniformly.

    Args:
        labels: the class of each sample.
        count: how many to take, from 0 to n.
        seed: what the choice depends on, and nothing else; the global generator is left alone.

    Returns:
        The places, ascending.
    """
    n = len(labels)
    sizes = torch.bincount(labels)
    wanted = sizes * count // max(n, 1)
    remainders = sizes * count % max(n, 1)
    wanted[remainders.argsort(descending=True, stable=True)[: count - int(wanted.sum())]] += 1
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    first = sizes.cumsum(0) - sizes
    classes = labels[by_class]
    place_in_class = torch.arange(n) - first[classes]
    return by_class[place_in_class < wanted[classes]].sort().values


def hold_out(images: Images, count: int | None, seed: int, *, share: float = 0.1) -> tuple[Images, Images]:
    """Return what is learned from, and a part that is held out of it.

    Args:
        images: the set.
        count: how many images are held out; ``None`` is ``share`` of them.
        seed: what the choice depends on; each class has its share.
        share: the usual part.

    Raises:
        ConfigurationError: if nothing would be held out, or nothing left to learn from.
    """
    wanted = max(1, round(share * len(images))) if count is None else count
    if not 1 <= wanted < len(images):
        raise ConfigurationError(
            f"{wanted} of the {len(images)} training images of {images.name} cannot be held out: leave at least one to "
            f"learn from, and hold out at least one (validation_images, from 1 to {len(images) - 1})."
        )
    held = torch.zeros(len(images), dtype=torch.bool)
    held[stratified(images.labels, wanted, seed)] = True
    return images.subset((~held).nonzero().squeeze(1)), images.subset(held.nonzero().squeeze(1))


def limited(images: Images, count: int | None, seed: int) -> Images:
    """Return ``count`` of the images, of which each class has its share; all of them for ``None``.

    Args:
        images: the set.
        count: how many.
        seed: what the choice depends on.

    Raises:
        ConfigurationError: if there are not so many.
    """
    if count is None:
        return images
    if not 1 <= count <= len(images):
        raise ConfigurationError(
            f"train_images is {count}, but {images.name} has {len(images)} training images besides those held out: "
            f"choose from 1 to {len(images)}."
        )
    return images.subset(stratified(images.labels, count, seed))


def first(images: Images, count: int | None) -> Images:
    """Return the first ``count`` images, which the name then says; all of them for ``None``.

    Raises:
        ConfigurationError: if there are not so many.
    """
    if count is None or count == len(images):
        return images
    if not 1 <= count < len(images):
        raise ConfigurationError(
            f"test_images is {count}, but {images.name} has {len(images)} test images: choose from 1 to {len(images)}."
        )
    part = images.subset(slice(0, count))
    return Images(
        # A copy, so that the others need not stay in memory.
        part.pixels.clone(),
        part.labels.clone(),
        images.classes,
        f"{images.name} (the first {count} of {len(images)} test images)",
        images.levels,
        images.class_names,
    )
