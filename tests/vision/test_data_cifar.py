"""CIFAR from its binary files, unpacked, packed and downloaded."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from data_files import cifar_records, pack, write_cifar10
from real_data import DATA, needs

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError, DataWarning
from tasks.download import RemoteFile
from tasks.vision.data.cifar import CIFAR10, CIFAR100
from tasks.vision.datasets import load

SMALL = replace(CIFAR10, counts=(100, 20))
NAME = "cifar-10-batches-bin"


@pytest.fixture
def files(tmp_path):
    """Return a folder with small files of CIFAR-10's format, and what is in them."""
    return tmp_path / NAME, *write_cifar10(tmp_path / NAME)


def assert_read(found, pixels, labels):
    learn, test = found
    assert torch.equal(learn.pixels, pixels[:100])
    assert torch.equal(learn.labels, labels[:100])
    assert torch.equal(test.pixels, pixels[100:])
    assert torch.equal(test.labels, labels[100:])


def test_the_folder_itself_or_one_above_it_may_be_named(files, tmp_path):
    folder, pixels, labels = files
    assert_read(SMALL.read(folder), pixels, labels)
    assert_read(SMALL.read(tmp_path), pixels, labels)
    assert SMALL.read(folder)[0].class_names[3] == "cat"


def test_of_cifar100_the_fine_label_counts(tmp_path):
    fine = torch.arange(100)
    learn_pixels, content = cifar_records(torch.stack([fine % 20, fine], 1))
    (tmp_path / "train.bin").write_bytes(content)
    test_pixels, content = cifar_records(torch.stack([fine[:10] % 3, 99 - fine[:10]], 1), seed=1)
    (tmp_path / "test.bin").write_bytes(content)
    learn, test = replace(CIFAR100, counts=(100, 10)).read(tmp_path)
    assert torch.equal(learn.pixels, learn_pixels)
    assert torch.equal(learn.labels, fine)
    assert torch.equal(test.pixels, test_pixels)
    assert torch.equal(test.labels, 99 - fine[:10])
    assert learn.classes == 100


@pytest.mark.parametrize("named", ["archive", "folder"])
def test_an_archive_is_unpacked_beside_itself_once(named, files, tmp_path):
    folder, pixels, labels = files
    (tmp_path / "kept").mkdir()
    archive = pack(folder, tmp_path / "kept" / "cifar-10-binary.tar.gz")
    given = archive if named == "archive" else archive.parent
    assert_read(SMALL.read(given), pixels, labels)
    assert sorted(path.name for path in archive.parent.iterdir()) == [NAME, archive.name]
    archive.write_bytes(b"not needed any more")
    assert_read(SMALL.read(given), pixels, labels)


def test_a_truncated_archive_is_named_and_leaves_nothing(files, tmp_path):
    (tmp_path / "kept").mkdir()
    archive = pack(files[0], tmp_path / "kept" / "cifar-10-binary.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match=f"{archive} is damaged"):
        SMALL.read(archive.parent)
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_it_is_downloaded_and_unpacked_once(files, server, tmp_path, monkeypatch):
    folder, pixels, labels = files
    content = pack(folder, tmp_path / "packed.tar.gz").read_bytes()
    server.files["some.tar.gz"] = content
    server.breaks = [len(content) // 2]
    remote = RemoteFile(server.url("some.tar.gz"), f"md5:{hashlib.md5(content).hexdigest()}")
    source = replace(SMALL, archive=remote)
    monkeypatch.setenv("BILEVEL_DATA", str(tmp_path / "home"))
    for _ in range(2):
        assert_read(source.read(None), pixels, labels)
    assert len(server.asked) == 2  # the first one broke off
    kept = [path.name for path in (tmp_path / "home" / "cifar10").iterdir() if not path.name.endswith(".lock")]
    assert sorted(kept) == [NAME, "some.tar.gz"]
    # The folder of all data sets may also be named.
    assert_read(source.read(tmp_path / "home"), pixels, labels)


def test_a_wrong_download_is_named_and_leaves_nothing(files, server, tmp_path, monkeypatch):
    server.files["some.tar.gz"] = pack(files[0], tmp_path / "packed.tar.gz").read_bytes()
    source = replace(SMALL, archive=RemoteFile(server.url("some.tar.gz"), f"md5:{'0' * 32}"))
    monkeypatch.setenv("BILEVEL_DATA", str(tmp_path / "home"))
    with pytest.raises(DataError, match=r"some\.tar\.gz is not the expected file \(md5:0000"):
        source.read(None)
    assert not [path for path in (tmp_path / "home" / "cifar10").iterdir() if not path.name.endswith(".lock")]


def test_files_that_are_missing_cut_or_foreign_are_named(files):
    folder, *_ = files
    third = folder / "data_batch_3.bin"
    content = third.read_bytes()
    third.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 61459 bytes, .* records of 3073 bytes: it was cut off"):
        SMALL.read(folder)
    third.write_bytes(b"")
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 0 bytes"):
        SMALL.read(folder)
    third.write_bytes(b"\x0a" + content[1:])
    with pytest.raises(DataError, match=r"data_batch_3\.bin holds the label 10; those of cifar10 are 0 \.\.\. 9"):
        SMALL.read(folder)
    third.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin is missing"):
        SMALL.read(folder)


def test_a_folder_without_it_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=rf"{tmp_path} holds no cifar-10-binary\.tar\.gz nor {NAME}/test_batch\.bin"):
        CIFAR10.read(tmp_path)
    with pytest.raises(ConfigurationError, match="size of their own: leave image_size out"):
        load("cifar10", 0, data_dir=tmp_path, image_size=64)


def test_a_part_of_a_data_set_is_read_with_a_warning(files):
    folder, pixels, labels = files
    with pytest.warns(DataWarning, match="holds 100 training and 20 test images; cifar10 has 50000 and 10000"):
        assert_read(CIFAR10.read(folder), pixels, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SMALL.read(folder)


@pytest.mark.filterwarnings("ignore::tasks.data_error.DataWarning")
def test_its_parts(files):
    folder, pixels, labels = files
    split = load("cifar10", 3, data_dir=str(folder), train_images=40, validation_images=20, test_images=5)
    assert torch.bincount(split.train.labels).tolist() == [4] * 10
    assert torch.bincount(split.validation.labels).tolist() == [2] * 10
    assert torch.equal(split.test.pixels, pixels[100:105])
    assert split.test.name == "cifar10 (the first 5 of 20 test images)"
    rows = {tuple(p.flatten().tolist()): int(y) for p, y in zip(pixels[:100], labels, strict=False)}
    parts = [(p, y) for part in (split.train, split.validation) for p, y in zip(part.pixels, part.labels, strict=True)]
    keys = [tuple(p.flatten().tolist()) for p, _ in parts]
    assert len(set(keys)) == 60
    assert [rows[key] for key in keys] == [int(y) for _, y in parts]
    everything = load("cifar10", 3, data_dir=folder)
    assert [len(part) for part in (everything.train, everything.validation, everything.test)] == [90, 10, 20]


@needs("cifar100-head")
def test_the_head_of_the_real_cifar100_is_read():
    folder = DATA / "cifar100-head" / "cifar-100-binary"
    with pytest.warns(DataWarning, match="486 training and 916 test images"):
        learn, test = CIFAR100.read(DATA / "cifar100-head")
    for images, name in ((learn, "train.bin"), (test, "test.bin")):
        records = np.fromfile(folder / name, np.uint8).reshape(len(images), 3074)
        assert (images.labels.numpy() == records[:, 1]).all()
        assert (images.pixels.flatten(1).numpy() == records[:, 2:]).all()
        assert (records[:, 0] < 20).all()


@needs("cifar10-jpeg")
def test_real_photographs_come_out_as_they_are(tmp_path):
    """Some images of the bundle, written in the official layout: planes of colours, row by row."""
    from PIL import Image

    bundle = np.load(DATA / "cifar10-jpeg" / "cifar10_jpeg.npz", allow_pickle=False)
    jpeg, offsets, labels = bundle["jpeg"].tobytes(), bundle["offsets"], bundle["labels"]
    images = [Image.open(io.BytesIO(jpeg[begin:end])) for begin, end in pairwise(offsets[:121].tolist())]
    pixels = np.stack([np.asarray(image) for image in images])  # (n, rows, columns, colours)
    names = [*CIFAR10.train, CIFAR10.test]
    for number, name in enumerate(names):
        part = slice(20 * number, 20 * number + 20)
        planes = pixels[part].transpose(0, 3, 1, 2).reshape(20, -1)
        (tmp_path / name).write_bytes(np.concatenate([labels[part, None], planes], 1).tobytes())
    learn, test = SMALL.read(tmp_path)
    for found, part in ((learn, slice(0, 100)), (test, slice(100, 120))):
        assert (found.pixels.permute(0, 2, 3, 1).numpy() == pixels[part]).all()
        assert (found.labels.numpy() == labels[part]).all()
    assert learn.labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
