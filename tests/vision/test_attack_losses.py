"""The margin as an attack's loss: its value, where it is flat and where the cross-entropy is."""

from __future__ import annotations

import torch
from attack_cases import images
from small_classifiers import TwoClasses, two_classes

from tasks.vision.attacks import PGM, Margin, cw, pgm
from tasks.vision.data import ImageBatch


def test_the_margin_is_the_lead_of_the_best_other_class():
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 9.0, -1.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 2])
    assert Margin(50.0)(logits, y).item() == (2.5 - 3) + (9 + 1)
    assert Margin(4.0)(logits, y).item() == (2.5 - 3) + 4
    (g,) = torch.autograd.grad(Margin(4.0)(logits, y), logits)
    assert g.tolist() == [[-1, 0, 1], [0, 0, 0]]


def test_a_sample_that_errs_confidently_stays_where_it_is():
    model, batch = two_classes(), images(30, classes=2, dtype=torch.float64)
    found = PGM(0.2, 3, 0.1, loss=Margin(confidence=1.0))(model, batch)
    stayed = (found == batch.x).flatten(1).all(1)
    assert torch.equal(stayed, -model.lead(batch.x, batch.y) > 1)
    assert stayed.any()
    assert not stayed.all()


def test_the_margin_still_has_a_gradient_where_the_cross_entropy_has_none():
    model = TwoClasses(1000 * torch.ones(1, 4, 4), b=-4000.0)
    batch = ImageBatch(torch.full((1, 1, 4, 4), 0.6), torch.tensor([1]))
    assert torch.equal(pgm(0.5, 20)(model, batch).sub(batch.x).abs().amax() < 0.01, torch.tensor(True))
    assert model(cw(0.5, 20)(model, batch)).argmax() == 0
