"""Several attacks on the same images: what they share runs once, and the worst counts each."""

from __future__ import annotations

import torch
from small_classifiers import Counting, Mixed, two_class_images, two_classes

from tasks.vision.attacks import PGM, Random, Worst, cw, fgsm, pgm
from tasks.vision.evaluation import evaluate


def test_the_worst_of_attacks_is_at_most_each():
    torch.manual_seed(3)
    model = Mixed(classes=2)
    images = two_class_images(two_classes(), n=80)
    attacks = [PGM(0.1, 1, 0.05), PGM(0.1, 3, 0.1), cw(0.1, 3)]
    *each, worst = (r.robust for r in evaluate(model, images, [*attacks, Worst(*attacks)]))
    assert worst <= min(each)
    assert max(each) > 0


def test_the_passes_are_counted():
    model = Counting(two_classes())
    images = two_class_images(model.model, n=60, wrong=10)
    evaluate(model, images, [pgm(0.01, 20)], batch_size=30)
    assert model.sizes == [30, 30] + 2 * ([25] * 20 + [25])


def test_attacks_that_share_a_run_run_once():
    model = Counting(two_classes())
    images = two_class_images(model.model, n=60, wrong=10)
    worst = Worst(cw(0.01, 9), Worst(pgm(0.01, 4), Random(0.01, 2)))
    attacks = [pgm(0.01, 4), fgsm(0.01), worst, pgm(0.01, 7), pgm(0.01, 7, seed=1), pgm(0.01, 4)]
    results = evaluate(model, images, attacks)
    # Clean; PGM-7 with two looks; FGSM; CW-9; random; PGM-7 from another seed. Each is looked at by one more pass.
    assert len(model.sizes) == 1 + (7 + 2) + (1 + 1) + (9 + 1) + (2 + 1) + (7 + 1)
    assert [r.attack for r in results] == [a.name for a in attacks]
    assert [r.steps for r in results] == [4, 1, None, 7, 7, 4]
    assert results[0] == results[-1]
    for attack, result in zip(attacks[:2] + attacks[3:], results[:2] + results[3:], strict=True):
        assert [result] == evaluate(model.model, images, [attack])


def test_an_attack_that_is_a_part_of_another_runs_once():
    model, images = Counting(two_classes()), two_class_images(two_classes())
    evaluate(model, images, [Random(0.01, 50)])
    once = sum(model.sizes)
    model.sizes.clear()
    alone, worst = evaluate(model, images, [Random(0.01, 50), Worst(Random(0.01, 50))])
    assert sum(model.sizes) == once
    assert alone.robust == worst.robust


def test_the_worst_counts_what_stands_against_each_by_itself():
    torch.manual_seed(3)
    model, images = Mixed(classes=2), two_class_images(two_classes(), n=80)
    attacks = [PGM(0.03, 1, 0.02), Random(0.03, 20), cw(0.03, 2)]
    model.eval()
    right = model(images.batch().x).argmax(1) == images.labels
    batch = images.batch(right.nonzero().squeeze(1))
    stands = [model(attack(model, batch)).argmax(1) == batch.y for attack in attacks]
    *each, worst = (r.robust for r in evaluate(model, images, [*attacks, Worst(*attacks)]))
    assert each == [row.sum().item() / 80 for row in stands]
    assert worst == torch.stack(stands).all(0).sum().item() / 80
    assert 0 < worst < max(each)
