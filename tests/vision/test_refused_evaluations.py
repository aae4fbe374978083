"""Images, outputs and attacks that an evaluation cannot use are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from shift_attack import Shift
from small_classifiers import two_class_images, two_classes
from torch import nn

from bilevel.errors import ConfigurationError, NonFiniteError, TaskError
from tasks.vision.attacks import fgsm
from tasks.vision.data import Images
from tasks.vision.evaluation import evaluate


def images_like(pixels=None, labels=None, classes=2, levels=255) -> Images:
    good = two_class_images(two_classes(), n=6)
    return Images(
        good.pixels if pixels is None else pixels,
        good.labels if labels is None else labels,
        classes=classes,
        name="mine",
        levels=levels,
    )


class Returns(nn.Module):
    """Returns what it is told to, for any images."""

    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (lambda: images_like(levels=16), r"'mine' must have pixels in \[0, 1\]"),
        (
            lambda: images_like(labels=torch.tensor([0, 1, 0, 2, 0, 0])),
            r"labels of 'mine' .* from 0 to 1; some .* \[0, 2\]",
        ),
        (lambda: images_like(labels=torch.tensor([0, 1, 0, -1, 0, 0])), r"some lie in \[-1, 1\]"),
        (lambda: images_like().subset(slice(0, 0)), "'mine' is empty"),
    ],
    ids=["pixels", "label too large", "label negative", "empty"],
)
def test_images_that_cannot_be_used_are_refused_before_any_attack(images, message):
    attack = Shift(0.0)
    with pytest.raises(ConfigurationError, match=message):
        evaluate(two_classes(), images(), [attack])
    assert not attack.met


def test_pixels_that_are_no_numbers_are_refused():
    blank = images_like(pixels=torch.zeros(6, 1, 4, 4, dtype=torch.uint8), levels=0)  # 0/0
    with pytest.raises(ConfigurationError, match=r"must have pixels in \[0, 1\].*nan"):
        evaluate(two_classes(), blank, [fgsm(0.1)])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: x, TaskError, r"Returns must return logits of shape \(n, classes\), here \(6, classes\)"),
        (lambda x: x.sum((1, 2, 3)), TaskError, r"got shape \(6,\)"),
        (lambda x: (x.flatten(1), x), TaskError, "got tuple"),
        (lambda x: x.flatten(1)[:1], TaskError, r"got shape \(1, 16\)"),
        (lambda x: x.flatten(1), TaskError, "tells 16 classes apart, but 'mine' has 2"),
        (lambda x: x.flatten(1)[:, :2] * float("nan"), NonFiniteError, "not a number"),
        (lambda x: x.flatten(1)[:, :2] + float("inf"), NonFiniteError, "infinite"),
    ],
    ids=["images", "no classes", "tuple", "fewer", "classes", "nan", "inf"],
)
def test_an_output_that_is_no_logits_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        evaluate(Returns(make), images_like(), [fgsm(0.1)])


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (0.2, TaskError, r"Shift changed a pixel by 0\.2\d*, more than its eps = 0\.1"),
        (-0.1, TaskError, r"Shift left \[0, 1\]"),
        (float("nan"), NonFiniteError, "Shift returned images that are not finite"),
    ],
)
def test_an_attack_that_breaks_its_bounds_is_refused(by, error, message):
    model = two_classes()
    with pytest.raises(error, match=message):
        evaluate(model, two_class_images(model), [Shift(by)])


def test_an_attack_that_returns_other_images_is_refused():
    class Cut(Shift):
        def __call__(self, model, batch):
            return batch.x[:-1]

    model = two_classes()
    with pytest.raises(TaskError, match=r"Shift returned images of shape \(59, 1, 4, 4\) for images \(60, 1, 4, 4\)"):
        evaluate(model, two_class_images(model), [Cut(0.0)])


@pytest.mark.parametrize("size", [0, -5, True])
def test_a_batch_size_out_of_range_is_refused(size):
    model = two_classes()
    with pytest.raises(ConfigurationError, match="batch_size must be a whole number from 1"):
        evaluate(model, two_class_images(model), [fgsm(0.1)], batch_size=size)


def test_what_is_no_attack_is_named():
    script = """
from small_classifiers import two_classes, two_class_images
from tasks.vision.attacks import Worst, pgm
from tasks.vision.evaluation import evaluate
model = two_classes()
for attacks in (pgm(0.1), ["PGM-20"]):
    try:
        evaluate(model, two_class_images(model), attacks)
    except ValueError as error:
        print(error)
try:
    Worst("PGM-20")
except ValueError as error:
    print(error)
"""
    # Without executed annotations, as users run it.
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True)
    one, text, worst = done.stdout.splitlines()
    assert one.startswith("attacks must be a list of tasks.vision.attacks, such as [pgm(0.2)]; got PGM(eps=0.1")
    assert text.endswith("got 'PGM-20'.")
    assert worst.startswith("Worst needs one or more attacks")
