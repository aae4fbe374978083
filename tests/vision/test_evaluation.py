"""Clean and robust accuracy: exact on linear classifiers, whatever the batches, and nothing left behind."""

from __future__ import annotations

import dataclasses
import json

import torch
from shift_attack import Shift
from small_classifiers import Mixed, two_class_images, two_classes

from tasks.vision.attacks import PGM, Random, fgsm, pgm
from tasks.vision.evaluation import accuracy, evaluate


def test_accuracies_are_those_of_the_closed_form():
    model = two_classes()
    images = two_class_images(model, n=80, wrong=8)
    batch = images.batch()
    for result, eps in zip(evaluate(model, images, [pgm(e) for e in (0.02, 0.05)]), (0.02, 0.05), strict=True):
        # By float32 images a lead of exactly the bound is decided by rounding; there is none here.
        stands = model.lead(model.strongest(batch.x, batch.y, eps), batch.y) > 0
        assert result.clean == 72 / 80
        assert result.robust == stands.double().mean().item()
        assert 0 < result.robust < result.clean


def test_results_are_flat_records_in_the_order_of_the_attacks():
    model = two_classes()
    records = [dataclasses.asdict(r) for r in evaluate(model, two_class_images(model), [fgsm(0.1), Random(0.1, 3)])]
    assert json.loads(json.dumps(records)) == records
    assert [r["attack"] for r in records] == ["FGSM", "Random-3"]
    assert {k: records[0][k] for k in ("n", "eps", "norm", "steps", "step_size", "start")} == {
        "n": 60,
        "eps": 0.1,
        "norm": "linf",
        "steps": 1,
        "step_size": 0.1,
        "start": "Center()",
    }
    assert records[1]["step_size"] is None


def test_only_images_classified_correctly_are_attacked():
    model, attack = two_classes(), Shift(0.0)
    images = two_class_images(model, n=20, wrong=7)
    (result,) = evaluate(model, images, [attack], batch_size=5)
    assert [len(batch.y) for batch in attack.met] == [5, 4, 4]
    assert torch.equal(torch.cat([batch.x for batch in attack.met]), images.batch(slice(7, None)).x)
    assert result.clean == result.robust == 13 / 20


def test_a_classifier_that_is_always_wrong_is_not_attacked():
    model, attack = two_classes(), Shift(0.0)
    (result,) = evaluate(model, two_class_images(model, n=20, wrong=20), [attack])
    assert (result.clean, result.robust, attack.met) == (0.0, 0.0, [])


def test_the_accuracy_does_not_depend_on_the_batches():
    model = two_classes()
    images = two_class_images(model, n=50, wrong=3)
    attacks = [fgsm(0.05), PGM(0.05, 7, 0.01)]
    first, *others = (evaluate(model, images, attacks, batch_size=size) for size in (1, 7, 50, 500))
    assert all(other == first for other in others)
    assert accuracy(model, images, batch_size=7) == first[0].clean == 47 / 50


def test_a_larger_ball_is_no_safer():
    torch.manual_seed(3)
    model, images = Mixed(classes=2), two_class_images(two_classes(), n=80)
    results = evaluate(model, images, [pgm(eps) for eps in (0.01, 0.05, 0.1, 0.3, 1.0)])
    accuracies = [results[0].clean, *(r.robust for r in results)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] == 0


def test_the_model_is_evaluated_in_evaluation_mode_and_left_as_it_was():
    model = Mixed(classes=2).train()
    model.norm.running_mean.normal_()
    model.drop.eval()
    images, random = two_class_images(two_classes()), torch.get_rng_state()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    results = evaluate(model, images, [pgm(0.1, 2), Random(0.1, 2)])
    assert model.training
    assert model.norm.training
    assert not model.drop.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert evaluate(model.eval(), images, [pgm(0.1, 2), Random(0.1, 2)]) == results


def test_progress_hears_of_every_batch():
    model, heard = two_classes(), []
    images = two_class_images(model, n=20, wrong=8)
    evaluate(model, images, [fgsm(0.1)], batch_size=10, progress=lambda *now: heard.append(now))
    assert heard == [(10, 20, "clean"), (20, 20, "clean"), (6, 12, "FGSM"), (12, 12, "FGSM")]
