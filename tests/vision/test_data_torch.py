"""PyTorch's data sets, held as the library holds images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from bilevel.errors import ConfigurationError
from tasks.vision.checks import check_images
from tasks.vision.data import hold_out, images_from


class Listed(Dataset):
    """A data set of the items of a list, which counts how often each was asked for."""

    def __init__(self, items):
        self.items = items
        self.asked = [0] * len(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.asked[index] += 1
        return self.items[index]


PIXELS = torch.randint(0, 256, (9, 3, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
FORMS = {
    "bytes": lambda p: p,
    "floats": lambda p: p.float() / 255,
    "doubles": lambda p: p.double() / 255,
    "half": lambda p: (p.float() / 255).to(torch.float16),
    "array": lambda p: p.permute(1, 2, 0).numpy(),
    "array of floats": lambda p: p.permute(1, 2, 0).numpy() / 255,
    "picture": lambda p: Image.fromarray(p.permute(1, 2, 0).numpy()),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_item_is_read_once(form):
    dataset = Listed([(FORMS[form](pixels), label % 4) for label, pixels in enumerate(PIXELS)])
    images = images_from(dataset, name="mine")
    assert torch.equal(images.pixels, PIXELS)
    assert images.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert (images.classes, images.levels, images.name) == (4, 255, "mine")
    assert dataset.asked == [1] * 9
    check_images(images)


@pytest.mark.parametrize("label", [torch.tensor(2), np.int64(2), np.uint8(2), 2])
def test_labels_may_be_numbers_of_any_kind(label):
    images = images_from(Listed([(PIXELS[0], label)]), name="mine", classes=7)
    assert (images.labels.tolist(), images.classes) == ([2], 7)


@pytest.mark.parametrize("image", [PIXELS[0, 0], PIXELS[0, 0].numpy(), Image.fromarray(PIXELS[0, 0].numpy())])
def test_grey_images(image):
    assert torch.equal(images_from(Listed([(image, 0)]), name="mine").pixels, PIXELS[:1, :1])


def test_the_colours_of_a_picture_with_a_palette_are_read_not_their_numbers():
    picture = Image.new("RGB", (5, 4), (200, 10, 30)).quantize()
    pixels = images_from(Listed([(picture, 0)]), name="mine").pixels
    assert torch.equal(pixels, torch.tensor([200, 10, 30], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 5))


def test_a_tensor_dataset_can_be_divided():
    images = images_from(TensorDataset(PIXELS / 255, torch.arange(9) % 3), name="mine")
    learn, held = hold_out(images, 3, seed=0)
    assert sorted(held.labels.tolist()) == [0, 1, 2]
    assert len(learn) == 6


GOOD = (PIXELS[0], 0)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((PIXELS[1, :, :3], 0), r"image of item 1 of mine is 3x3x5 .* the first one 3x4x5"),
        ((PIXELS[1, :1], 0), r"is 1x4x5"),
        ((PIXELS[1].float(), 0), r"values from \d+ to \d+; floats must lie in \[0, 1\]"),
        ((PIXELS[1] / 255 - 0.5, 0), r"must lie in \[0, 1\]"),
        ((torch.full((3, 4, 5), float("nan")), 0), r"must lie in \[0, 1\]"),
        ((PIXELS[1].int(), 0), r"is torch.int32; give bytes"),
        ((PIXELS[:2], 0), r"has the shape \(2, 3, 4, 5\)"),
        (("a picture", 0), "image of item 1 of mine is str, which is no image"),
        ((PIXELS[1], -1), "class of item 1 of mine must be a whole number from 0 to 3, got -1"),
        ((PIXELS[1], 4), "got 4"),
        ((PIXELS[1], 1.0), "got 1.0"),
        ((PIXELS[1], True), "got True"),
        ((PIXELS[1], torch.tensor([1, 2])), "several numbers"),
        ((PIXELS[1], "cat"), "got 'cat'"),
        ((PIXELS[1], 0, 0), "item 1 of mine is no pair of an image and a class, but tuple"),
        (PIXELS[1], "is no pair .* but Tensor"),
    ],
)
def test_a_bad_item_is_named(item, message):
    with pytest.raises(ConfigurationError, match=message):
        images_from(Listed([GOOD, item]), name="mine", classes=4)


def test_what_is_no_map_style_data_set_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            yield GOOD

    with pytest.raises(ConfigurationError, match=r"mine \(Stream\) has no length or no items by index"):
        images_from(Stream(), name="mine")
    with pytest.raises(ConfigurationError, match="mine is empty"):
        images_from(Listed([]), name="mine")
