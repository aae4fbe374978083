"""SVHN from small MATLAB files."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from scipy.io import savemat

from tasks.data_error import DataError
from tasks.download import RemoteFile
from tasks.vision.data.augmentation import CropAndFlip
from tasks.vision.data.svhn import Svhn
from tasks.vision.datasets import augmentation, load


def write(path, n=30, seed=0, **changes):
    """Write a file like SVHN's; return its images (n, 32, 32, 3) and its digits."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    digits = np.arange(n) % 10
    labels = np.where(digits == 0, 10, digits).astype(np.uint8)
    arrays = {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None]} | changes
    savemat(path, {name: array for name, array in arrays.items() if array is not None}, do_compression=True)
    return images, digits


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train_32x32.mat")
    write(tmp_path / "test_32x32.mat", n=10, seed=1)
    return tmp_path


def test_the_images_stand_upright_and_ten_is_zero(tmp_path):
    train = write(tmp_path / "train_32x32.mat")
    test = write(tmp_path / "test_32x32.mat", n=10, seed=1)
    for found, (images, digits) in zip(Svhn().read(tmp_path), (train, test), strict=True):
        assert found.pixels.is_contiguous()
        assert (found.pixels.permute(0, 2, 3, 1).numpy() == images).all()
        assert found.labels.tolist() == digits.tolist()
        assert (found.labels.dtype, found.classes) == (torch.int64, 10)


def test_its_parts_and_its_augmentation(folder):
    split = load("svhn", 0, data_dir=folder)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [27, 3, 10]
    assert augmentation("svhn", None) == CropAndFlip(4, flip=0.0)


def test_it_is_downloaded(server, folder, tmp_path, monkeypatch):
    expected = Svhn().read(folder)
    remotes = []
    for name in ("train_32x32.mat", "test_32x32.mat"):
        server.files[name] = (folder / name).read_bytes()
        remotes.append(RemoteFile(server.url(name), f"sha256:{hashlib.sha256(server.files[name]).hexdigest()}"))
    monkeypatch.setenv("BILEVEL_DATA", str(tmp_path / "home"))
    for found, images in zip(Svhn(*remotes).read(None), expected, strict=True):
        assert torch.equal(found.pixels, images.pixels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": None}, r"holds no images X of bytes \(32, 32, 3, n\) but nothing"),
        ({"X": np.zeros((30, 32, 32, 3), np.uint8)}, r"but uint8 of shape \(30, 32, 32, 3\)"),
        ({"X": np.zeros((32, 32, 3, 30))}, r"but float64 of shape"),
        ({"X": np.zeros((32, 32, 3, 0), np.uint8), "y": np.zeros((0, 1), np.uint8)}, "holds no images|must be 1"),
        ({"y": None}, "no label for each of its 30 images: y is nothing"),
        ({"y": np.ones((29, 1), np.uint8)}, r"y is uint8 of shape \(29, 1\)"),
        ({"y": np.zeros((30, 1), np.uint8)}, r"labels must be 1 \.\.\. 10"),
        ({"y": np.full((30, 1), 11, np.uint8)}, r"labels must be 1 \.\.\. 10"),
        ({"y": np.full((30, 1), 1.5)}, r"labels must be 1 \.\.\. 10"),
    ],
)
def test_a_foreign_file_is_named(changes, message, folder):
    write(folder / "test_32x32.mat", **changes)
    with pytest.raises(DataError, match=rf"test_32x32\.mat.*({message})"):
        Svhn().read(folder)


def test_a_missing_file_is_named(folder):
    (folder / "test_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"holds no test_32x32\.mat\. Fetch http"):
        Svhn().read(folder)


def test_a_damaged_file_is_named(folder):
    """Cut anywhere, or with any piece of it overwritten, it is refused by name or read as it was."""
    path = folder / "train_32x32.mat"
    good = path.read_bytes()
    expected = Svhn().read(folder)[0]
    refused = read = 0
    cuts = [good[:length] for length in [0, 1, 100, 127, 128, 129, 136, 200, 5000, len(good) // 2, len(good) - 1]]
    draw = np.random.default_rng(0)
    places = [*range(0, 200, 3), *draw.integers(200, len(good) - 4, 40)]
    spoiled = [good[:place] + draw.bytes(4) + good[place + 4 :] for place in places]
    for content in [*cuts, *spoiled, b"<!DOCTYPE html><html>Not found</html>" * 10]:
        path.write_bytes(content)
        try:
            assert torch.equal(Svhn().read(folder)[0].pixels, expected.pixels)
        except DataError as error:
            refused += str(path) in str(error)
        else:
            read += 1
    assert refused + read == len(cuts) + len(spoiled) + 1
    assert refused > len(cuts) + 40
