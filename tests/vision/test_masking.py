"""The masking check: it warns of what is masked on purpose, and not of what is honest."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from digits_classifier import EPS, robust_digits
from torch import nn

from tasks.vision.attacks import Random, Square, cw, fgsm, pgm
from tasks.vision.evaluation import evaluate
from tasks.vision.masking import Evidence, Probe, Verdict, masking_check, probe
from tasks.vision.masking.finding import Finding, worst_first

HONEST = Probe(200, 0.0, 0.0, repeats=True)


class Scaled(nn.Module):
    """Logits so large that the cross-entropy has no gradient left."""

    def __init__(self, model, factor=1e4):
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, x):
        return self.model(x) * self.factor


class Quantised(nn.Module):
    """Sees few shades, whose gradient is zero everywhere."""

    def __init__(self, model, shades=4):
        super().__init__()
        self.model, self.shades = model, shades

    def forward(self, x):
        return self.model((x * self.shades).round() / self.shades)


class Noisy(nn.Module):
    """Adds noise of its own to what it sees."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x + 0.01 * torch.randn_like(x))


def checked(model):
    """Return the findings of an evaluation by their names."""
    _, images = robust_digits()
    few = images.subset(slice(0, 100))
    attacks = [fgsm(EPS), pgm(EPS, 20), cw(EPS, 20), Square(EPS, 300), Random(EPS, 50)]
    records = [dataclasses.asdict(result) for result in evaluate(model, few, attacks)]
    return {one.finding: one for one in masking_check(Evidence.of(records, [], probe(model, few, EPS)))}


def test_an_honest_classifier_passes():
    model, _ = robust_digits()
    found = checked(model)
    assert not [one for one in found.values() if one.verdict is Verdict.WARNING]
    assert found["gap"].verdict is Verdict.NOT_MEASURED
    assert "bilevel evaluate RUN --attacks AutoAttack" in found["gap"].text
    assert {f"athalye-{i}" for i in range(1, 6)} | {f"carlini-{i}" for i in range(1, 16)} <= set(found)
    undecidable = {name for name, one in found.items() if one.verdict is Verdict.NOT_DECIDABLE}
    assert undecidable == {"carlini-2", "carlini-8", "carlini-15"}
    assert all(one.text.endswith(".") and len(one.text) > 20 for one in found.values())


def test_large_logits_are_found_out():
    model, _ = robust_digits()
    found = checked(Scaled(model))
    assert found["zero-gradients"].verdict is Verdict.WARNING
    assert "exactly zero by the cross-entropy" in found["zero-gradients"].text
    assert ", 0.0 % by the margin" in found["zero-gradients"].text
    assert found["losses"].verdict is Verdict.WARNING
    assert found["athalye-3"].verdict is Verdict.WARNING
    assert found["carlini-12"].verdict is Verdict.PASSED


def test_quantised_images_are_found_out():
    model, _ = robust_digits()
    found = checked(Quantised(model))
    assert found["zero-gradients"].text.startswith("100.0 %")
    for name in ("zero-gradients", "athalye-2", "athalye-3", "carlini-6", "carlini-12"):
        assert found[name].verdict is Verdict.WARNING, name
    assert "Square-300" in found["athalye-2"].text


def test_a_randomised_classifier_is_found_out():
    model, _ = robust_digits()
    _, images = robust_digits()
    answers = probe(Noisy(model), images.subset(slice(0, 20)), EPS, curves=False)
    assert not answers.repeats
    found = {one.finding: one for one in masking_check(evidence(probe=answers))}
    assert found["carlini-11"].verdict is Verdict.WARNING


def test_the_probe_leaves_the_classifier_alone():
    model, images = robust_digits()
    model.train()
    state, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    gradients = [p.grad for p in model.parameters()]
    probe(model, images.subset(slice(0, 20)), EPS)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(p.grad is g and p.requires_grad for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    model.eval()


def test_a_classifier_without_any_gradient_has_zeros():
    class Answers(nn.Module):
        def forward(self, x):
            return torch.eye(10)[:1].repeat(len(x), 1)

    _, images = robust_digits()
    answers = probe(Answers(), images, EPS, curves=False)
    assert (answers.zero_gradients, answers.zero_margin_gradients) == (1.0, 1.0)


# Single items, from records by hand.


def row(attack, robust, looks="gradient", steps=20, **other):
    return {
        "attack": attack,
        "robust": robust,
        "clean": 0.9,
        "n": 1000,
        "eps": 0.1,
        "looks": looks,
        "steps": steps,
    } | other


def evidence(*rows, curves=(), probe=HONEST):
    return Evidence.of(rows or [row("PGM-20", 0.5)], curves, probe)


def points(curve, pairs, attack="PGM-20"):
    return [{"curve": curve, "x": x, "robust": y, "attack": attack} for x, y in pairs]


@pytest.mark.parametrize(
    ("name", "made", "verdict", "said"),
    [
        ("gap", evidence(row("PGM-20", 0.5), row("AutoAttack", 0.41, "all")), "passed", "is 9.0 points"),
        (
            "gap",
            evidence(row("PGM-20", 0.5), row("AutoAttack", 0.39, "all")),
            "warning",
            "PGM-20 (50.0 %) minus AutoAttack (39.0 %) is 11.0",
        ),
        (
            "gap",
            evidence(row("PGM-20", 0.6), row("PGM-100:zero", 0.45), row("AutoAttack", 0.4, "all")),
            "passed",
            "is 5.0 points",
        ),
        (
            "athalye-1",
            evidence(row("FGSM", 0.4, steps=1), row("PGM-20", 0.5)),
            "warning",
            "FGSM (40.0 %) takes one step",
        ),
        ("athalye-1", evidence(row("FGSM", 0.6, steps=1), row("PGM-20", 0.5)), "passed", "PGM-20 (50.0 %) several"),
        ("athalye-1", evidence(), "not measured", "FGSM and PGM-20"),
        (
            "athalye-1",
            evidence(curves=points("iterations", [(1, 0.3), (50, 0.6)], "PGM")),
            "warning",
            "30.0 % after 1 step",
        ),
        (
            "athalye-2",
            evidence(row("PGM-20", 0.5), row("Square-5000", 0.4, "outputs")),
            "warning",
            "Square-5000 (40.0 %)",
        ),
        (
            "athalye-2",
            evidence(row("PGM-20", 0.5), row("PGM-10 from plain", 0.4, "surrogate")),
            "warning",
            "PGM-10 from plain",
        ),
        ("athalye-2", evidence(row("PGM-20", 0.5), row("PGM-10 from plain", 0.8, "surrogate")), "passed", "80.0 %"),
        ("athalye-2", evidence(), "not measured", "Square-5000"),
        ("athalye-3", evidence(curves=points("eps", [(0.1, 0.5), (1.0, 0.3)])), "warning", "30.0 % at ε = 1"),
        ("athalye-3", evidence(curves=points("eps", [(0.1, 0.5), (1.0, 0.0)])), "passed", "0.0 %"),
        ("athalye-3", evidence(), "not measured", "curves"),
        (
            "athalye-4",
            evidence(row("PGM-20", 0.5), row("Random-1000", 0.4, "outputs")),
            "warning",
            "Random-1000 (40.0 %)",
        ),
        (
            "athalye-5",
            evidence(curves=points("eps", [(0.1, 0.3), (0.2, 0.5), (1.0, 0.0)])),
            "warning",
            "20.0 points more at ε = 0.2",
        ),
        ("athalye-5", evidence(curves=points("eps", [(0.1, 0.3), (0.2, 0.305), (1.0, 0.0)])), "passed", "3 radii"),
        (
            "iterations",
            evidence(curves=points("iterations", [(1, 0.3), (5, 0.4)], "PGM")),
            "warning",
            "10.0 points more after 5",
        ),
        ("losses", evidence(row("PGM-100", 0.5), row("CW-100", 0.4)), "warning", "CW-100 (40.0 %) on logits"),
        ("carlini-4", evidence(row("FGSM", 0.5, steps=1)), "not measured", "20 steps or more"),
        ("carlini-5", evidence(row("PGM-20", 0.5)), "not measured", "AutoAttack or CW-100"),
        ("carlini-10", evidence(), "not measured", "transfer (--surrogates)"),
        (
            "carlini-13",
            evidence(curves=points("iterations", [(50, 0.5), (100, 0.4)], "PGM")),
            "warning",
            "10.0 points from 50 to 100",
        ),
        ("carlini-13", evidence(curves=points("iterations", [(50, 0.5), (100, 0.5)], "PGM")), "passed", "0.0 points"),
        ("carlini-14", evidence(), "not measured", "One step and start only"),
    ],
)
def test_an_item_by_hand(name, made, verdict, said):
    (found,) = [one for one in masking_check(made) if one.finding == name]
    assert str(found.verdict) == verdict
    assert said in found.text


def test_the_worst_comes_first_and_records_are_flat():
    findings = masking_check(evidence(row("FGSM", 0.4, steps=1), row("PGM-20", 0.5)))
    ranks = [one.verdict.rank for one in findings]
    assert ranks == sorted(ranks)
    assert findings[0].verdict is Verdict.WARNING
    assert set(findings[0].record()) == {"finding", "item", "verdict", "text"}
    assert all(type(value) is str for one in findings for value in one.record().values())
    same = [Finding(str(i), "", Verdict.PASSED, "") for i in range(3)]
    assert worst_first(same) == same
