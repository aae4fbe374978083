"""Curves of robust accuracy: exact on linear classifiers, and the iterations from one run."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from small_classifiers import Counting, Mixed, two_class_images, two_classes

from bilevel.errors import ConfigurationError
from bilevel.starts import Uniform
from tasks.vision.attacks import PGM, Margin, cw, fgsm, pgm
from tasks.vision.curves import accuracy_by_iterations, accuracy_by_radius
from tasks.vision.evaluation import accuracy, evaluate


def test_the_curve_over_radii_is_the_closed_form():
    model = two_classes()
    images = two_class_images(model, n=80, wrong=6)
    radii = [0.0, 0.01, 0.03, 0.06, 0.1, 0.5, 1.0]
    points = accuracy_by_radius(model, images, radii)
    batch = images.batch()
    exact = [(model.lead(model.strongest(batch.x, batch.y, eps), batch.y) > 0).double().mean().item() for eps in radii]
    assert [p.robust for p in points] == exact
    assert exact[0] == 74 / 80
    assert exact[-1] == 0
    assert exact == sorted(exact, reverse=True)
    assert len(set(exact)) > 4


def test_points_are_flat_records():
    model = two_classes()
    points = accuracy_by_radius(model, two_class_images(model), [0.1, 0.0], attack=fgsm)
    points += accuracy_by_iterations(model, two_class_images(model), [0, 3], attack=cw(0.1))
    records = [dataclasses.asdict(p) for p in points]
    assert json.loads(json.dumps(records)) == records
    assert [(r["curve"], r["x"], r["n"], r["attack"]) for r in records] == [
        ("eps", 0.1, 60, "FGSM"),
        ("eps", 0.0, 60, "FGSM"),
        ("iterations", 0.0, 60, "CW"),
        ("iterations", 3.0, 60, "CW"),
    ]


def test_the_curve_over_iterations_is_that_of_separate_runs_but_costs_one():
    torch.manual_seed(3)
    model, images = Mixed(classes=2), two_class_images(two_classes(), n=60)
    model.eval()
    iterations = [1, 2, 5, 11]
    attack = PGM(0.1, 1, 0.02, start=Uniform(0.1), loss=Margin(), seed=2)
    separate = [
        result.robust for result in evaluate(model, images, [dataclasses.replace(attack, steps=k) for k in iterations])
    ]
    counting = Counting(model)
    points = accuracy_by_iterations(counting, images, iterations, attack=attack)
    assert [p.robust for p in points] == separate
    assert len(set(separate)) > 1
    assert len(counting.sizes) == 1 + 11 + 4  # clean, the run, and a look at each of the iterates


def test_zero_iterations_from_the_centre_are_the_clean_accuracy():
    model = two_classes()
    images = two_class_images(model, wrong=5)
    attack = PGM(0.1, 1, 0.02)
    assert accuracy_by_iterations(model, images, [0, 5], attack=attack)[0].robust == accuracy(model, images) == 55 / 60


def test_a_classifier_that_is_always_wrong_has_a_flat_curve():
    model = two_classes()
    images = two_class_images(model, n=10, wrong=10)
    assert [p.robust for p in accuracy_by_iterations(model, images, [0, 1, 2], attack=pgm(0.1))] == [0, 0, 0]
    assert [p.robust for p in accuracy_by_radius(model, images, [0.0, 0.1])] == [0, 0]


@pytest.mark.parametrize("radii", [[], [0.0], [-0.1, 0.1], [0.1, 1.5], [0.1, float("nan")]])
def test_radii_out_of_range_are_refused(radii):
    model = two_classes()
    with pytest.raises(ConfigurationError, match=r"radii must lie in \[0, 1\]"):
        accuracy_by_radius(model, two_class_images(model), radii)


@pytest.mark.parametrize("iterations", [[], [-1, 2], [3, 2], [2, 2]])
def test_iterations_that_do_not_ascend_are_refused(iterations):
    model = two_classes()
    with pytest.raises(ConfigurationError, match="ascending"):
        accuracy_by_iterations(model, two_class_images(model), iterations, attack=pgm(0.1))
