"""Images in folders, one for each class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.vision.data.folder import read_folder
from tasks.vision.datasets import load

CLASSES = ("ant", "bee", "cow")


def write(folder, per_class=10, size=(6, 5), mode="RGB", seed=0):
    """Write images of the size (width, height); return the pixels by path."""
    draw = np.random.default_rng(seed)
    written = {}
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            shape = (size[1], size[0], 3) if mode == "RGB" else size[::-1]
            pixels = draw.integers(0, 256, shape, dtype=np.uint8)
            path = folder / name / f"{number:02}.png"
            Image.fromarray(pixels).save(path)
            written[path] = pixels
    return written


def test_images_are_read_in_the_order_of_their_names(tmp_path):
    written = write(tmp_path)
    images = read_folder(tmp_path)
    expected = np.stack([written[path] for path in sorted(written)])
    assert (images.pixels.permute(0, 2, 3, 1).numpy() == expected).all()
    assert images.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert (images.classes, images.class_names, images.levels) == (3, CLASSES, 255)
    assert images.name == tmp_path.name


def test_grey_images_have_one_channel_unless_one_is_coloured(tmp_path):
    written = write(tmp_path, mode="L")
    images = read_folder(tmp_path)
    expected = np.stack([written[path] for path in sorted(written)])
    assert (images.pixels[:, 0].numpy() == expected).all()
    assert images.channels == 1
    Image.new("RGB", (6, 5), (1, 2, 3)).save(tmp_path / "bee" / "00.png")
    coloured = read_folder(tmp_path)
    assert coloured.pixels[10, :, 0, 0].tolist() == [1, 2, 3]
    assert (coloured.pixels[0].numpy() == expected[0]).all()


@pytest.mark.parametrize(("mode", "colour", "expected"), [
    ("1", 1, [255] * 3), ("P", 0, None), ("LA", (9, 0), [9] * 3), ("RGBA", (1, 2, 3, 0), [1, 2, 3]),
])  # fmt: skip
def test_other_kinds_of_pixels(mode, colour, expected, tmp_path):
    write(tmp_path)
    image = Image.new(mode, (6, 5), colour)
    image.save(tmp_path / "ant" / "00.png")
    found = read_folder(tmp_path).pixels[0, :, 0, 0].tolist()
    assert found == (list(image.convert("RGB").getpixel((0, 0))) if expected is None else expected)


def test_more_than_8_bits_are_refused(tmp_path):
    write(tmp_path)
    Image.fromarray(np.full((5, 6), 40_000, np.uint16)).save(tmp_path / "ant" / "00.png")
    with pytest.raises(DataError, match=r"00\.png has pixels of the kind I;16, not of 8 bits"):
        read_folder(tmp_path)


def test_images_of_other_sizes_are_named_or_brought_to_one(tmp_path):
    write(tmp_path)
    Image.new("RGB", (7, 5)).save(tmp_path / "bee" / "03.png")
    with pytest.raises(DataError, match=r"bee/03\.png is 7x5, .*ant/00\.png is 6x5: name the size .* image_size"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, size=4).pixels.shape == (30, 3, 4, 4)
    with pytest.raises(ConfigurationError, match="at least 1; got 0"):
        read_folder(tmp_path, size=0)


def test_what_is_brought_to_a_size_is_the_middle(tmp_path):
    write(tmp_path, size=(4, 4))
    wide = np.zeros((4, 8), np.uint8)
    wide[:, 2:6] = 200
    Image.fromarray(wide).save(tmp_path / "ant" / "00.png")
    images = read_folder(tmp_path, size=4)
    assert (images.pixels[0] == 200).all()
    assert torch.equal(images.pixels[1:], read_folder(tmp_path, size=4).pixels[1:])


def test_train_and_test_folders(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", per_class=4, seed=1)
    split = load("folder", 0, data_dir=tmp_path)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [27, 3, 12]
    files, found = (sorted(images.pixels.tolist()) for images in (read_folder(tmp_path / "test"), split.test))
    assert found == files
    assert {part.name for part in (split.train, split.validation, split.test)} == {tmp_path.name}
    assert load("folder", 0, data_dir=tmp_path, image_size=3).test.pixels.shape == (12, 3, 3, 3)


@pytest.mark.parametrize("apart", [False, True])
def test_the_first_of_the_test_images_are_of_all_classes_and_the_same_for_every_seed(apart, tmp_path):
    write(tmp_path / "train" if apart else tmp_path, per_class=40)
    if apart:
        write(tmp_path / "test", per_class=8, seed=1)
    few = [load("folder", seed, data_dir=tmp_path, test_images=12).test for seed in (0, 1)]
    assert all(set(part.labels.tolist()) == {0, 1, 2} for part in few)
    assert torch.equal(few[0].pixels, few[1].pixels) == apart


@pytest.mark.parametrize("train", [False, True])
def test_without_a_test_folder_a_fifth_is_set_aside(train, tmp_path):
    written = write(tmp_path / "train" if train else tmp_path)
    split = load("folder", 0, data_dir=tmp_path)
    parts = (split.train, split.validation, split.test)
    assert [len(part) for part in parts] == [22, 2, 6]
    assert torch.bincount(split.test.labels).tolist() == [2, 2, 2]
    found = sorted(p.flatten().tolist() for part in parts for p in part.pixels.permute(0, 2, 3, 1))
    assert found == sorted(pixels.flatten().tolist() for pixels in written.values())
    other = load("folder", 1, data_dir=tmp_path)
    assert not torch.equal(split.test.pixels, other.test.pixels)


@pytest.mark.parametrize("names", [("train", "test", "val"), ("train", "ship"), ("test", "ship")])
def test_folders_that_are_neither_parts_nor_classes_are_named(names, tmp_path):
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=rf"holds {', '.join(sorted(names))}: it must hold train and test"):
        load("folder", 0, data_dir=tmp_path)


def test_parts_that_do_not_fit_are_named(tmp_path):
    write(tmp_path / "train")
    write(tmp_path / "test", per_class=2, size=(5, 5))
    with pytest.raises(DataError, match=r"train are 3x5x6 and those of .*test 3x5x5"):
        load("folder", 0, data_dir=tmp_path)
    (tmp_path / "test" / "cow").rename(tmp_path / "test" / "dog")
    with pytest.raises(DataError, match="same classes: cow, dog are in one of them only"):
        load("folder", 0, data_dir=tmp_path)


def test_folders_without_classes_or_images_are_named(tmp_path):
    with pytest.raises(DataError, match="has no classes"):
        read_folder(tmp_path)
    (tmp_path / "ant").mkdir()
    with pytest.raises(DataError, match="has one class"):
        read_folder(tmp_path)
    (tmp_path / "bee").mkdir()
    (tmp_path / "ant" / ".hidden").write_bytes(b"")
    with pytest.raises(DataError, match=r"The class .*ant is empty"):
        read_folder(tmp_path)


@pytest.mark.parametrize("content", [b"", b"some words", b"\x89PNG\r\n\x1a\n cut"])
def test_a_file_that_is_no_image_is_named(content, tmp_path):
    write(tmp_path)
    (tmp_path / "cow" / "99.png").write_bytes(content)
    with pytest.raises(DataError, match=r"cow/99\.png is no image, or damaged"):
        read_folder(tmp_path)


def test_a_truncated_image_is_named(tmp_path):
    write(tmp_path, size=(40, 40))
    path = tmp_path / "cow" / "05.png"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"cow/05\.png is no image, or damaged"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("folder", "message"), [(None, "No folder was named"), ("nowhere", "There is no folder nowhere")]
)
def test_a_folder_must_be_named(folder, message):
    with pytest.raises(ConfigurationError, match=rf"{message}.*--data-dir"):
        load("folder", 0, data_dir=folder)
