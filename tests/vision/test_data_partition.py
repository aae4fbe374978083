"""Parts in which each class has its share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import ConfigurationError
from tasks.vision.data import Images, hold_out, limited
from tasks.vision.data.partition import first, stratified


def numbered(labels):
    """Return images whose only pixel is their number."""
    pixels = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1)
    return Images(pixels, labels, int(labels.max()) + 1, "some")


@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=80), share=st.floats(0, 1), seed=st.integers(0, 2**63 - 1)
)
def test_each_class_has_its_share_to_within_one(labels, share, seed):
    labels = torch.tensor(labels)
    count = round(share * len(labels))
    before = torch.get_rng_state()
    chosen = stratified(labels, count, seed)
    assert torch.equal(before, torch.get_rng_state())
    assert len(chosen) == count
    assert torch.equal(chosen, chosen.unique())
    exact = torch.bincount(labels).double() * count / len(labels)
    found = torch.bincount(labels[chosen], minlength=len(exact))
    assert ((found - exact).abs() < 1).all()
    assert torch.equal(chosen, stratified(labels, count, seed))


def test_every_sample_of_a_class_is_equally_likely():
    labels = torch.tensor([0] * 10 + [1] * 5)
    counts = torch.zeros(15)
    for seed in range(3000):
        counts[stratified(labels, 6, seed)] += 1
    assert ((counts - 1200) ** 2 / (1200 * 0.6)).max() < 4**2  # each is chosen with probability 0.4


def test_what_is_held_out_and_what_is_left_make_up_the_whole():
    images = numbered(torch.arange(60) % 3)
    learn, held = hold_out(images, 15, seed=5)
    assert [len(learn), len(held)] == [45, 15]
    assert torch.bincount(held.labels).tolist() == [5, 5, 5]
    assert sorted([*learn.pixels.flatten().tolist(), *held.pixels.flatten().tolist()]) == list(range(60))
    assert len(hold_out(images, None, seed=5)[1]) == 6
    assert len(hold_out(images, None, seed=5, share=0.2)[1]) == 12
    assert not torch.equal(held.pixels, hold_out(images, 15, seed=6)[1].pixels)


@pytest.mark.parametrize("count", [0, 60, 61])
def test_too_few_or_too_many_held_out_are_refused(count):
    with pytest.raises(
        ConfigurationError, match=rf"{count} of the 60 training images .*validation_images, from 1 to 59"
    ):
        hold_out(numbered(torch.arange(60) % 3), count, seed=0)


def test_fewer_training_images():
    images = numbered(torch.arange(60) % 3)
    assert limited(images, None, 0) is images
    assert torch.bincount(limited(images, 12, 0).labels).tolist() == [4, 4, 4]
    with pytest.raises(ConfigurationError, match="train_images is 61, but some has 60"):
        limited(images, 61, 0)


def test_fewer_test_images_are_the_first_and_the_name_says_so():
    images = numbered(torch.arange(60) % 3)
    assert first(images, None) is images
    assert first(images, 60) is images
    part = first(images, 7)
    assert part.pixels.flatten().tolist() == list(range(7))
    assert part.name == "some (the first 7 of 60 test images)"
    with pytest.raises(ConfigurationError, match="test_images is 61, but some has 60"):
        first(images, 61)
