"""Shifts and flips of whole batches, against what they mean for one image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from bilevel.errors import ConfigurationError
from tasks.vision.data import CropAndFlip, Movement, NoAugmentation


def one_by_one(images, movement, padding):
    """Pad, cut out and flip each image by itself."""
    height, width = images.shape[2:]
    moved = []
    for image, down, right, flipped in zip(images, movement.down, movement.right, movement.flipped, strict=True):
        top, left = padding + int(down), padding + int(right)
        cut = functional.pad(image, [padding] * 4)[:, top : top + height, left : left + width]
        moved.append(cut.flip(2) if flipped else cut)
    return torch.stack(moved)


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    padding=st.integers(0, 9),
    seed=st.integers(0, 2**40),
    dtype=st.sampled_from([torch.uint8, torch.float32, torch.float64]),
)
def test_a_batch_is_moved_as_each_image_would_be(shape, padding, seed, dtype):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, shape, generator=draw).to(dtype)
    movement = CropAndFlip(padding).draw(len(images), draw)
    moved = movement(images)
    assert moved.dtype == dtype
    assert torch.equal(moved, one_by_one(images, movement, padding))


@given(
    n=st.integers(1, 6), h=st.integers(1, 7), w=st.integers(1, 7), padding=st.integers(0, 9), seed=st.integers(0, 2**40)
)
def test_the_inverse_brings_back_what_is_visible_and_nothing_else(n, h, w, padding, seed):
    draw = torch.Generator().manual_seed(seed)
    places = torch.arange(1, n * h * w + 1).view(n, 1, h, w)  # each pixel has a number of its own
    movement = CropAndFlip(padding).draw(n, draw)
    moved, inside = movement.with_visible(places)
    assert torch.equal(inside, moved > 0)
    returned, visible = movement.inverse().with_visible(moved)
    seen = torch.isin(places, moved)
    assert torch.equal(visible & (returned > 0), seen)
    assert torch.equal(visible, seen)  # what is outside after the way back was out of sight
    assert torch.equal(returned[seen], places[seen])


def test_shifts_are_uniform_and_half_of_the_images_are_flipped():
    torch.manual_seed(0)
    movement = CropAndFlip(padding=4).draw(81_000)
    counts = torch.bincount((movement.down + 4) * 9 + movement.right + 4, minlength=81).double()
    assert ((counts - 1000) ** 2 / 1000).sum() < 124.8  # chi square with 80 degrees of freedom: once in 1,000
    assert abs(int(movement.flipped.sum()) - 40_500) < 4 * (81_000 / 4) ** 0.5


def test_without_flips_nothing_is_drawn_for_them():
    torch.manual_seed(3)
    movement = CropAndFlip(padding=2, flip=0.0).draw(50)
    after = torch.rand(1)
    assert not movement.flipped.any()
    torch.manual_seed(3)
    down, right = torch.randint(-2, 3, (2, 50))
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(movement.down, down)
    assert torch.equal(movement.right, right)


def test_no_augmentation_draws_nothing():
    before = torch.get_rng_state()
    assert NoAugmentation().draw(100) is None
    assert torch.equal(before, torch.get_rng_state())


def test_always_and_never_flipped():
    image = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4)
    still = CropAndFlip(padding=0, flip=1.0).draw(1)
    assert still(image).flatten().tolist() == [3, 2, 1, 0]
    shifted = Movement(torch.tensor([0]), torch.tensor([1]), torch.tensor([False]))
    assert shifted(image).flatten().tolist() == [1, 2, 3, 0]
    both = Movement(torch.tensor([0]), torch.tensor([1]), torch.tensor([True]))
    assert both(image).flatten().tolist() == [0, 3, 2, 1]


@pytest.mark.parametrize(("padding", "flip"), [(-1, 0.5), (4, -0.1), (4, 1.1), (4, float("nan"))])
def test_bad_crops_are_refused(padding, flip):
    with pytest.raises(ConfigurationError, match="padding of at least 0"):
        CropAndFlip(padding, flip)
