"""MNIST from its four files."""

from __future__ import annotations

import gzip
import hashlib
import shutil

import pytest
import torch
from data_files import write_idx, write_mnist
from real_data import DATA, needs

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.download import RemoteFile
from tasks.idx import read_idx
from tasks.vision.data.mnist import Mnist, PartFiles
from tasks.vision.datasets import load


def test_it_is_read_from_its_four_files(tmp_path):
    learn, test = Mnist().read(write_mnist(tmp_path))
    assert torch.equal(learn.pixels[:, 0], read_idx(tmp_path / "train-images-idx3-ubyte", dimensions=3))
    assert torch.equal(test.labels, read_idx(tmp_path / "t10k-labels-idx1-ubyte", dimensions=1).long())
    assert (learn.pixels.shape, test.pixels.shape) == ((30, 1, 2, 2), (10, 1, 2, 2))
    assert (learn.classes, learn.levels, learn.name) == (10, 255, "mnist")


@pytest.mark.parametrize("name", ["-idx3-ubyte.gz", ".idx3-ubyte", ".idx3-ubyte.gz"])
def test_other_names_and_packed_files_do_too(name, tmp_path):
    expected, _ = Mnist().read(write_mnist(tmp_path))
    plain = tmp_path / "train-images-idx3-ubyte"
    content = plain.read_bytes()
    plain.unlink()
    (tmp_path / f"train-images{name}").write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert torch.equal(Mnist().read(tmp_path)[0].pixels, expected.pixels)


def test_a_file_that_is_missing_or_does_not_belong_is_named(tmp_path):
    write_mnist(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    write_idx(labels, torch.full((30,), 11))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte holds the label 11"):
        Mnist().read(tmp_path)
    write_idx(labels, torch.zeros(29, dtype=torch.uint8))
    with pytest.raises(DataError, match=r"30 images, .*train-labels-idx1-ubyte 29 labels"):
        Mnist().read(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", torch.zeros(10, 3, 2, dtype=torch.uint8))
    write_idx(labels, torch.zeros(30, dtype=torch.uint8))
    with pytest.raises(DataError, match="training images are 2x2 and test images 3x2"):
        Mnist().read(tmp_path)
    labels.unlink()
    with pytest.raises(DataError, match=r"holds no train-labels-idx1-ubyte\.gz nor train-labels-idx1-ubyte"):
        Mnist().read(tmp_path)
    with pytest.raises(ConfigurationError, match="There is no folder"):
        Mnist().read(tmp_path / "nowhere")


def test_an_empty_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="train-images-idx3-ubyte holds no image"):
        Mnist().read(write_mnist(tmp_path, counts=(0, 10)))


def test_it_is_downloaded_once_into_the_folder_of_the_environment(server, tmp_path, monkeypatch):
    expected = Mnist().read(write_mnist(tmp_path / "made"))
    remotes = {}
    for path in (tmp_path / "made").iterdir():
        content = gzip.compress(path.read_bytes())
        server.files[f"{path.name}.gz"] = content
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
        remotes[path.name.split("-idx")[0]] = RemoteFile(server.url(f"{path.name}.gz"), checksum)
    source = Mnist(*(PartFiles(remotes[f"{part}-images"], remotes[f"{part}-labels"]) for part in ("train", "t10k")))
    monkeypatch.setenv("BILEVEL_DATA", str(tmp_path / "kept"))
    for _ in range(2):
        for found, images in zip(source.read(None), expected, strict=True):
            assert torch.equal(found.pixels, images.pixels)
            assert torch.equal(found.labels, images.labels)
    assert len(server.asked) == 4
    found = sorted(path.name for path in (tmp_path / "kept" / "mnist").iterdir() if not path.name.startswith("."))
    assert found == sorted(server.files)


@needs("mnist")
def test_the_real_one_is_read():
    learn, test = Mnist().read(DATA / "mnist")
    assert learn.pixels.shape == (60_000, 1, 28, 28)
    assert test.pixels.shape == (10_000, 1, 28, 28)
    assert torch.bincount(learn.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert learn.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert learn.pixels.double().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)


@needs("mnist")
def test_a_truncated_real_file_is_named(tmp_path):
    for path in (DATA / "mnist").iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:5_000_000])
    with pytest.raises(DataError, match=f"{path} is damaged"):
        load("mnist", 0, data_dir=tmp_path)
