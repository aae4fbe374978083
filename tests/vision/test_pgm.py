"""PGM: the textbook's loop to the bit, and the strongest attack where that is known."""

from __future__ import annotations

import pytest
import torch
from attack_cases import images
from small_classifiers import Counting, Mixed, two_classes
from torch.nn import functional as F

from bilevel.starts import Uniform
from tasks.vision.attacks import PGM, CrossEntropy, Margin, cw, fgsm, pgm
from tasks.vision.data import ImageBatch


@pytest.mark.parametrize("steps", [1, 10, 23])
def test_from_the_centre_it_is_the_textbook_s_loop_to_the_bit(steps):
    model, batch = Mixed().eval(), images()
    x, y = batch.x, batch.y
    eta, eps = 0.03, 0.1
    adv = x
    for _ in range(steps):
        z = adv.clone().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(z), y), z)
        adv = torch.clamp(x + torch.clamp(adv + eta * torch.sign(g) - x, -eps, eps), 0, 1)
    assert torch.equal(PGM(eps, steps, eta)(model, ImageBatch(x, y)), adv)


def test_fgsm_is_one_step_to_the_border():
    model, batch = Mixed().eval(), images()
    z = batch.x.clone().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(model(z), batch.y), z)
    torch.testing.assert_close(fgsm(0.1)(model, batch), (batch.x + 0.1 * g.sign()).clamp(0, 1))


def test_the_path_is_one_run():
    model, batch = Counting(Mixed().eval()), images()
    attack = PGM(0.1, 1, 0.02, start=Uniform(0.1), seed=4)
    path = attack.path(model, batch, [0, 1, 5, 12])
    assert len(model.sizes) == 12
    for steps, z in zip([1, 5, 12], path[1:], strict=True):
        assert torch.equal(z, PGM(0.1, steps, 0.02, start=Uniform(0.1), seed=4)(model, batch))


def test_a_step_is_one_forward_and_one_backward_in_the_images_alone():
    model, batch = Mixed(), images()
    asked: list[bool] = []
    passes = {"forward": 0, "backward": 0}

    def forward(module, args, output):
        passes["forward"] += 1
        asked.extend(p.requires_grad for p in module.parameters())

    model.register_forward_hook(forward)
    model.register_full_backward_hook(lambda *_: passes.update(backward=passes["backward"] + 1))
    pgm(0.1, 13)(model, batch)
    assert passes == {"forward": 13, "backward": 13}
    assert not any(asked)


# Linear classifiers, where the strongest attack is known.


@pytest.mark.parametrize("loss", [CrossEntropy(), Margin()], ids=["cross-entropy", "margin"])
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.7), (0.0, 1.0)], ids=["inside", "at the border"])
def test_pgm_finds_the_strongest_attack_on_a_linear_classifier(loss, low, high):
    model, batch = two_classes(), images(40, classes=2, dtype=torch.float64, low=low, high=high)
    found = PGM(0.2, 6, 0.05, loss=loss)(model, batch)
    assert torch.equal(found, model.strongest(batch.x, batch.y, 0.2))
    if low > 0.2:
        lost = model.lead(batch.x, batch.y) - model.lead(found, batch.y)
        torch.testing.assert_close(lost, (0.2 * model.w.detach().abs().sum()).expand(40), rtol=0, atol=1e-12)


@pytest.mark.parametrize("attack", [pgm, cw])
def test_exactly_the_samples_whose_lead_is_below_the_bound_are_lost(attack):
    model, batch = two_classes(), images(300, classes=2, dtype=torch.float64, low=0.3, high=0.7)
    y = model(batch.x).argmax(1)
    bound = 0.05 * model.w.detach().abs().sum()
    stands = model(attack(0.05, 20)(model, ImageBatch(batch.x, y))).argmax(1) == y
    assert torch.equal(stands, model.lead(batch.x, y) > bound)
    assert 20 < stands.sum() < 280
