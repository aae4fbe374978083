"""The data of hyper-cleaning: wrong labels, parts that share nothing, and MNIST's files."""

from __future__ import annotations

import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import ConfigurationError
from tasks.cleaning.data import SOURCES, Sizes, corrupt, load_data
from tasks.cleaning.metrics import accuracy, detection
from tasks.vision.data.mnist import Mnist


@given(n=st.integers(1, 60), classes=st.integers(2, 12), share=st.floats(0, 1), seed=st.integers(0, 2**40))
def test_just_the_share_of_labels_is_wrong_and_still_a_class(n, classes, share, seed):
    labels = torch.arange(n) % classes
    given_labels = corrupt(labels, share, classes, torch.Generator().manual_seed(seed))
    assert (given_labels != labels).sum() == round(share * n)
    assert 0 <= int(given_labels.min()) <= int(given_labels.max()) < classes
    assert torch.equal(labels, torch.arange(n) % classes)


def test_wrong_labels_are_spread_evenly_over_samples_and_other_classes():
    labels = torch.full((90_000,), 4)
    found = corrupt(labels, 0.5, 10, torch.Generator().manual_seed(0))
    counts = torch.bincount(found[found != 4], minlength=10)
    assert counts[4] == 0
    others = counts[counts > 0].double()
    assert len(others) == 9
    assert ((others - 5000) ** 2 / 5000).sum() < 26.1  # chi square with 8 degrees of freedom exceeds it once in 1,000
    halves = (found != 4).reshape(2, -1).sum(1)
    assert abs(int(halves[0]) - 22_500) < 4 * (90_000 / 16) ** 0.5


def rows(*parts):
    return [(*x, y) for part in parts for x, y in zip(part.x.tolist(), part.y.tolist(), strict=True)]


def test_the_parts_share_nothing_and_only_training_labels_are_wrong():
    from sklearn.datasets import load_digits

    everything = load_digits()
    pixels = torch.from_numpy(everything.images).float().flatten(1) / 16
    known = sorted((*x, int(y)) for x, y in zip(pixels.tolist(), everything.target, strict=True))
    data = load_data(SOURCES["digits"], SOURCES["digits"].sizes, noise=0.5, seed=3)
    assert [len(p.y) for p in (data.train, data.validation, data.held_out, data.test)] == [600, 400, 437, 360]
    train = data.train._replace(y=data.truth)
    assert sorted(rows(train, data.validation, data.held_out, data.test)) == known
    assert int(data.wrong.sum()) == 300


def test_data_depend_on_the_seed_alone():
    first, again, other = (load_data(SOURCES["digits"], Sizes(50, 20, 20), noise=0.3, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.train.x, again.train.x)
    assert torch.equal(first.train.y, again.train.y)
    assert not torch.equal(first.train.x, other.train.x)
    clean = load_data(SOURCES["digits"], Sizes(50, 20, 20), noise=0.0, seed=1)
    assert torch.equal(clean.train.x, first.train.x)
    assert torch.equal(clean.train.y, first.truth)


def test_too_many_samples_are_refused():
    with pytest.raises(
        ConfigurationError, match=r"1000 training, 400 validation and 38 held-out .* more than the 1437"
    ):
        load_data(SOURCES["digits"], Sizes(1000, 400, 38), noise=0.5, seed=0)


@pytest.mark.parametrize(
    ("weights", "wrong", "expected"),
    [
        ([0.1, 0.2, 0.9, 0.8], [1, 1, 0, 0], (1.0, 1.0, 1.0)),
        ([0.9, 0.8, 0.1, 0.2], [1, 1, 0, 0], (0.0, 0.0, 0.0)),
        ([0.1, 0.1, 0.1, 0.9], [1, 0, 0, 1], (1 / 3, 1 / 2, 2 / 5)),
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], (None, 0.0, 0.0)),  # a half says "right"
        ([0.1, 0.9, 0.9, 0.9], [0, 0, 0, 0], (0.0, None, 0.0)),
        ([0.9, 0.9, 0.9, 0.9], [0, 0, 0, 0], (None, None, None)),
    ],
)
def test_precision_recall_and_f1(weights, wrong, expected):
    found = detection(torch.tensor(weights), torch.tensor(wrong).bool())
    assert (found.precision, found.recall, found.f1) == expected


def test_accuracy_is_the_share_of_right_answers():
    from tasks.cleaning.data import Labelled
    from tasks.cleaning.models import Classifier

    z = {"weight0": torch.eye(3), "bias0": torch.zeros(3)}
    samples = Labelled(torch.eye(3)[[0, 1, 2, 0, 1]], torch.tensor([0, 1, 2, 1, 1]))
    assert accuracy(Classifier(3, 3), z, samples) == 0.8


def test_mnist_is_divided_into_parts_that_share_nothing(tmp_path):
    draw = torch.Generator().manual_seed(0)
    for part, count in (("train", 30), ("t10k", 10)):
        write(tmp_path / f"{part}-images-idx3-ubyte", torch.randint(0, 256, (count, 2, 2), generator=draw))
        write(tmp_path / f"{part}-labels-idx1-ubyte", torch.randint(0, 10, (count,), generator=draw))
    learn, test = Mnist().read(tmp_path)
    data = load_data(SOURCES["mnist"], Sizes(10, 8, 12), noise=0.5, seed=0, folder=str(tmp_path))
    assert (data.name, data.classes) == ("mnist", 10)
    parts = [data.train._replace(y=data.truth), data.validation, data.held_out]
    expected = [(*(p.flatten() / 255).tolist(), int(y)) for p, y in zip(learn.pixels, learn.labels, strict=True)]
    assert sorted(rows(*parts)) == sorted(expected)
    assert torch.equal(data.test.y, test.labels)


def write(path, array):
    path.write_bytes(
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + bytes(array.flatten().tolist())
    )
