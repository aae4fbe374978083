"""Images, their splits and batches, and what is said about bad ones."""

from __future__ import annotations

import pytest
import torch

from bilevel.errors import ConfigurationError
from tasks.vision.checks import check_batch, check_images, check_training
from tasks.vision.data import Batches, ImageBatch, Images, digits
from tasks.vision.datasets import DATASETS, load
from tasks.vision.networks import SmallConvNet


def some_images(n=10, classes=4, levels=255, **changes):
    pixels = torch.randint(0, min(levels, 255) + 1, (n, 1, 8, 8), dtype=torch.uint8)
    labels = torch.arange(n) % classes
    return Images(
        **{"pixels": pixels, "labels": labels, "classes": classes, "name": "some", "levels": levels} | changes
    )


def rows(images):
    """Return each image with its label as a tuple."""
    return [(*p.flatten().tolist(), y) for p, y in zip(images.pixels, images.labels.tolist(), strict=True)]


def test_digits_are_split_without_loss_or_overlap():
    from sklearn.datasets import load_digits

    split = digits(seed=3)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [1149, 288, 360]
    everything = load_digits()
    pairs = zip(everything.images, everything.target, strict=True)
    expected = sorted((*map(int, image.flatten()), int(y)) for image, y in pairs)
    assert sorted(rows(split.train) + rows(split.validation) + rows(split.test)) == expected


def test_each_part_of_the_digits_has_each_class_in_proportion():
    split = digits(seed=0)
    total = sum(torch.bincount(part.labels) for part in (split.train, split.validation, split.test))
    for part in (split.train, split.validation, split.test):
        expected = total * len(part) / 1797
        assert (torch.bincount(part.labels) - expected).abs().max() <= 1


def test_the_split_depends_on_the_seed_alone():
    first, again, other = digits(1), digits(1), digits(2)
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert torch.equal(first.test.labels, again.test.labels)
    assert not torch.equal(first.train.pixels, other.train.pixels)
    before = torch.get_rng_state()
    digits(4)
    assert torch.equal(before, torch.get_rng_state())


def test_a_batch_is_the_pixels_over_the_levels():
    images = some_images(levels=16)
    batch = images.batch(torch.tensor([4, 1]))
    assert batch.x.dtype == torch.float32
    assert torch.equal(batch.x, images.pixels[[4, 1]].float() / 16)
    assert torch.equal(batch.y, images.labels[[4, 1]])
    assert torch.equal(images.batch(slice(2, 5)).x, images.batch().x[2:5])
    assert torch.equal(images.subset(torch.tensor([4, 1])).batch().x, batch.x)
    assert len(images.subset(slice(0, 3))) == 3


def test_batches_hold_each_image_once_in_an_order_of_the_global_generator():
    images = some_images(n=10)
    batches = Batches(images, 4)
    assert len(batches) == 3
    torch.manual_seed(5)
    first, second = list(batches), list(batches)
    torch.manual_seed(5)
    again = list(batches)
    assert [len(b.y) for b in first] == [4, 4, 2]
    one, two, three = (torch.cat([b.x for b in run]) for run in (first, second, again))
    assert torch.equal(one, three)
    assert not torch.equal(one, two)
    assert sorted(map(tuple, one.flatten(1).tolist())) == sorted(map(tuple, images.batch().x.flatten(1).tolist()))


@pytest.mark.parametrize("size", [0, -1, 11])
def test_batches_refuse_a_size_out_of_range(size):
    with pytest.raises(ConfigurationError, match="batch size"):
        Batches(some_images(n=10), size)


def test_an_unknown_data_set_is_answered_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"data set 'digit'.*digits, mnist, cifar10, cifar100, svhn, folder"):
        load("digit", 0)
    assert set(DATASETS) == {"digits", "mnist", "cifar10", "cifar100", "svhn", "folder"}


def good(n=4):
    return ImageBatch(torch.rand(n, 1, 8, 8), torch.arange(n))


def test_good_images_pass():
    check_batch(good(), classes=4)
    check_batch(ImageBatch(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.tensor([0, 1])), classes=2)
    check_images(some_images())
    check_training(some_images(n=10), 4, SmallConvNet(width=2))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, y: (x.index_fill(0, torch.tensor([1]), float("nan")), y), "1 of 4 images .* NaN"),
        (lambda x, y: (x.index_fill(0, torch.tensor([1, 2]), float("inf")), y), "2 of 4 images .* infinity"),
        (lambda x, y: (x + 0.5, y), r"\[0, 1\]"),
        (lambda x, y: (x - 0.5, y), r"\[0, 1\]"),
        (lambda x, y: (x * 255, y), "pixels / 255"),
        (lambda x, y: (x.mul(255).byte(), y), "floats"),
        (lambda x, y: (x, y + 1), "0 ... 3"),
        (lambda x, y: (x, y - 1), "0 ... 3"),
        (lambda x, y: (x, y.int()), "int64"),
    ],
)
def test_bad_batches_are_named(spoil, message):
    x, y = spoil(good().x, good().y)
    with pytest.raises(ConfigurationError, match=message):
        check_batch(tuple.__new__(ImageBatch, (x, y)), classes=4)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.rand(4, 8, 8), torch.arange(4), "unsqueeze"),
        (torch.rand(4, 1, 8, 8), torch.arange(3), "4 images and labels"),
        (torch.rand(4, 1, 8, 8), torch.zeros(4, 4, dtype=torch.int64), "one class number"),
        (torch.rand(0, 1, 8, 8), torch.arange(0), "none of them 0"),
    ],
)
def test_shapes_that_do_not_fit_are_named(x, y, message):
    with pytest.raises(ConfigurationError, match=message):
        check_batch(tuple.__new__(ImageBatch, (x, y)), classes=4)


def test_pixels_beyond_the_levels_and_labels_beyond_the_classes_are_named():
    with pytest.raises(ConfigurationError, match="beyond levels = 16"):
        check_images(some_images(pixels=torch.full((10, 1, 8, 8), 17, dtype=torch.uint8), levels=16))
    with pytest.raises(ConfigurationError, match=r"0 \.\.\. 2"):
        check_images(some_images(classes=3, labels=torch.full((10,), 3)))
    with pytest.raises(ConfigurationError, match="levels"):
        check_images(some_images(levels=300))


@pytest.mark.parametrize(
    ("batch_size", "message"), [(11, "10 images"), (0, "from 1 to 10"), (9, "single image"), (1, "single")]
)
def test_batch_sizes_that_cannot_be_learned_from(batch_size, message):
    with pytest.raises(ConfigurationError, match=message):
        check_training(some_images(n=10), batch_size, SmallConvNet(width=2))


def test_a_single_image_does_without_batch_norm():
    check_training(some_images(n=10), 1, torch.nn.Flatten())
