"""Several attacks as one: each meets what the ones before have left."""

from __future__ import annotations

import pytest
import torch
from attack_cases import images
from small_classifiers import Counting, Mixed, two_classes

from bilevel.errors import ConfigurationError
from bilevel.starts import Uniform
from tasks.vision.attacks import PGM, Random, Worst, fgsm, pgm
from tasks.vision.data import ImageBatch


def test_a_sample_stands_against_the_worst_only_if_it_stands_against_each():
    model, batch = Mixed().eval(), images(200)
    y = model(batch.x).argmax(1)
    batch = ImageBatch(batch.x, y)
    attacks = [PGM(0.15, 1, 0.01, seed=1), PGM(0.15, 2, 0.1, start=Uniform(0.15)), Random(0.15, 40)]
    # A draw depends on the batch: each attack meets the samples that the ones before have left.
    left = torch.arange(len(y))
    for attack in attacks:
        rest = ImageBatch(batch.x[left], y[left])
        left = left[model(attack(model, rest)).argmax(1) == rest.y]
    worst = model(Worst(*attacks)(model, batch)).argmax(1) == y
    assert torch.equal(worst.nonzero().squeeze(1), left)
    first = model(attacks[0](model, batch)).argmax(1) == y
    assert not (worst & ~first).any()
    assert 0 < worst.sum() < first.sum()


def test_the_worst_spares_the_fooled_the_next_attack():
    model, batch = two_classes(), images(40, classes=2, dtype=torch.float64)
    batch = ImageBatch(batch.x, model(batch.x).argmax(1))
    counting = Counting(model)
    lost = (model(fgsm(0.1)(model, batch)).argmax(1) != batch.y).sum().item()
    Worst(fgsm(0.1), PGM(0.1, 1, 0.1, start=Uniform(0.1)))(counting, batch)
    assert 0 < lost < 40
    assert counting.sizes == [40, 40, 40 - lost, 40 - lost]


def test_the_worst_needs_one_ball():
    with pytest.raises(ConfigurationError, match="same ball"):
        Worst(pgm(0.1), pgm(0.2))
    with pytest.raises(ConfigurationError, match="one or more attacks"):
        Worst()
