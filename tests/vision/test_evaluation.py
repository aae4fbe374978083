"""Clean and robust accuracy: exact on linear classifiers, whatever the batches, and clear about what it cannot use."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_classifiers import Counting, Mixed, two_class_images, two_classes
from torch import nn

from bilevel.errors import ConfigurationError, NonFiniteError, TaskError
from tasks.vision.attacks import PGM, Attack, Random, Worst, cw, fgsm, pgm
from tasks.vision.data import ImageBatch, Images
from tasks.vision.evaluation import accuracy, evaluate


class Shift(Attack):
    """Adds a number to all pixels, and says that it stays within 0.1."""

    def __init__(self, by: float) -> None:
        self.by = by
        self.met: list[ImageBatch] = []

    @property
    def name(self) -> str:
        return "Shift"

    def describe(self):
        return {"eps": 0.1, "norm": "linf"}

    def __call__(self, model, batch):
        self.met.append(batch)
        return batch.x + self.by


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


def test_the_worst_of_attacks_is_at_most_each():
    torch.manual_seed(3)
    model = Mixed(classes=2)
    images = two_class_images(two_classes(), n=80)
    attacks = [PGM(0.1, 1, 0.05), PGM(0.1, 3, 0.1), cw(0.1, 3)]
    *each, worst = (r.robust for r in evaluate(model, images, [*attacks, Worst(*attacks)]))
    assert worst <= min(each)
    assert max(each) > 0


def test_a_larger_ball_is_no_safer():
    torch.manual_seed(3)
    model, images = Mixed(classes=2), two_class_images(two_classes(), n=80)
    results = evaluate(model, images, [pgm(eps) for eps in (0.01, 0.05, 0.1, 0.3, 1.0)])
    accuracies = [results[0].clean, *(r.robust for r in results)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] == 0


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


# Memory.


class Small(nn.Module):
    """Takes no more than so many images at a time."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.model, self.limit, self.error = two_classes(), limit, error
        self.tried: list[int] = []

    def forward(self, x):
        self.tried.append(len(x))
        if len(x) > self.limit:
            raise self.error
        return self.model(x)


CPU = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), CPU, MemoryError()], ids=str)
def test_the_batch_is_halved_when_memory_runs_out(error):
    model = Small(16, error)
    images = two_class_images(model.model, n=100, wrong=10)
    with pytest.warns(UserWarning, match="images at a time do not fit into memory") as caught:
        results = evaluate(model, images, [pgm(0.03, 3)], batch_size=200)
    assert results == evaluate(model.model, images, [pgm(0.03, 3)])
    assert [str(w.message).split(":")[1] for w in caught] == [f" going on with {n}." for n in (50, 25, 12)]
    assert model.tried[:3] == [100, 50, 25]
    assert max(model.tried[3:]) <= 12  # and never larger again


def test_memory_may_run_out_in_the_backward_pass():
    class Heavy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            if len(g) > 20:
                raise torch.OutOfMemoryError("out of memory")
            return g

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = two_classes()

        def forward(self, x):
            return self.model(Heavy.apply(x))

    model = Model()
    images = two_class_images(model.model, n=64)
    with pytest.warns(UserWarning, match="images at a time do not fit"):
        results = evaluate(model, images, [pgm(0.03, 3)])
    assert results == evaluate(model.model, images, [pgm(0.03, 3)])
    assert all(p.requires_grad for p in model.parameters())


def test_a_single_image_that_does_not_fit_is_an_error():
    model = Small(0, torch.OutOfMemoryError("out of memory"))
    with pytest.warns(UserWarning, match="images at a time do not fit"), pytest.raises(torch.OutOfMemoryError):
        evaluate(model, two_class_images(model.model, n=8), [fgsm(0.1)])
    assert model.tried == [8, 4, 2, 1]


def test_any_other_error_is_passed_on_at_once():
    model = Small(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        evaluate(model, two_class_images(model.model, n=8), [fgsm(0.1)])
    assert model.tried == [8]


# Bad input.


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
