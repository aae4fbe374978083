"""APGD: exact on linear classifiers, its passes counted, and as strong as its authors' code."""

from __future__ import annotations

import pytest
import torch
from digits_classifier import EPS, robust_digits
from small_classifiers import Counting, Mixed, TwoClasses, two_class_images, two_classes
from torch import nn

from bilevel.errors import ConfigurationError, NonFiniteError, TaskError
from tasks.vision.attacks import APGD, Margin, TargetedAPGD, pgm
from tasks.vision.attacks.climb import look_times
from tasks.vision.attacks.targeted_apgd import TowardsClass, targeted_dlr
from tasks.vision.data import ImageBatch
from tasks.vision.evaluation import evaluate


def batch_of(model, n=60):
    return two_class_images(model, n).batch()


def test_the_times_are_those_of_the_paper():
    # ⌈p_j N⌉ with p = 0, .22, .41, .57, .70, .80, .87, .93, .99
    assert look_times(100) == {22: 22, 41: 19, 57: 16, 70: 13, 80: 10, 87: 7, 93: 6, 99: 6}
    assert look_times(1) == {1: 1}
    assert max(look_times(7)) <= 7


@pytest.mark.parametrize("loss", [APGD(0.05).loss, Margin()], ids=["ce", "margin"])
def test_exactly_the_samples_whose_lead_is_below_the_bound_are_lost(loss):
    model = two_classes()
    x = 0.3 + 0.4 * torch.rand(300, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = model(x).argmax(1)
    stands = model(APGD(0.05, 20, loss)(model, ImageBatch(x, y))).argmax(1) == y
    assert torch.equal(stands, model.lead(x, y) > 0.05 * model.w.detach().abs().sum())
    assert 20 < stands.sum() < 280


def test_what_stands_ends_at_the_strongest_attack_there_is():
    model = two_classes()
    x = 0.3 + 0.4 * torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = model(x).argmax(1)
    found = APGD(0.05, 20)(model, ImageBatch(x, y))
    stands = model(found).argmax(1) == y
    torch.testing.assert_close(found[stands], model.strongest(x, y, 0.05)[stands], rtol=0, atol=1e-12)


def test_a_sample_that_is_fooled_is_dropped():
    w = torch.zeros(1, 4, 4, dtype=torch.float64)
    model = Counting(TwoClasses(w, b=1.0))  # always class 1
    y = torch.tensor([1, 0, 1, 0, 0])
    APGD(0.1, 5)(model, ImageBatch(torch.full((5, 1, 4, 4), 0.5, dtype=torch.float64), y))
    assert model.sizes == [5] + 5 * [2]


def test_a_sample_costs_a_forward_pass_more_than_backward_passes():
    model, passes = two_classes(), {"forward": 0, "backward": 0}
    batch = batch_of(model)
    model.register_forward_hook(lambda *_: passes.update(forward=passes["forward"] + 1))
    model.register_full_backward_hook(lambda *_: passes.update(backward=passes["backward"] + 1))
    APGD(1e-4, 13)(model, batch)
    assert passes == {"forward": 14, "backward": 13}


class NaNAfter(nn.Module):
    """Gives NaN from a pass on."""

    def __init__(self, good):
        super().__init__()
        self.model, self.good = two_classes(), good

    def forward(self, x):
        self.good -= 1
        return self.model(x) * (1 if self.good >= 0 else float("nan"))


@pytest.mark.parametrize("good", [0, 1, 4])
def test_a_loss_that_is_no_number_is_an_error(good):
    model = NaNAfter(good)
    with pytest.raises(NonFiniteError, match="not a number"):
        APGD(1e-4, 9)(model, batch_of(model.model))


def test_the_targeted_loss_by_hand():
    logits = torch.tensor([[5.0, 1.0, 3.0, 2.0, -1.0]], dtype=torch.float64)
    # The label's logit is 5, the aim's 3; the first, third and fourth largest are 5, 2 and 1.
    loss = targeted_dlr(logits, torch.tensor([0]), torch.tensor([2]))
    assert loss.item() == pytest.approx(-2 / 3.5, rel=1e-12)
    assert targeted_dlr(1e4 * logits, torch.tensor([0]), torch.tensor([2])).item() == pytest.approx(-2 / 3.5, rel=1e-12)


def test_the_classes_are_aimed_at_in_the_order_of_their_likelihood():
    model = Mixed(classes=6).eval()
    x = torch.rand(1, 1, 4, 4)
    y = model(x).argmax(1)
    attacks = TargetedAPGD(0.5, 10, targets=9).stages
    assert [stage.rank for stage in attacks] == list(range(1, 10))
    assert len({stage.seed for stage in attacks}) == 9
    assert torch.equal(TowardsClass(0.1, 3, 6, 0)(model, ImageBatch(x, y)), x)  # there are five wrong classes


def test_the_targeted_attack_finds_what_each_class_by_itself_finds():
    model, images = robust_digits()
    few = images.subset(slice(0, 60))
    whole = evaluate(model, few, [TargetedAPGD(EPS, 10)])[0].robust
    each = [evaluate(model, few, [stage])[0].robust for stage in TargetedAPGD(EPS, 10).stages[:3]]
    assert whole <= min(each)
    assert len(set(each)) > 1


def test_too_few_classes_are_refused():
    with pytest.raises(TaskError, match="at least 4 classes"):
        TargetedAPGD(0.1, 3)(Mixed(classes=3), ImageBatch(torch.rand(2, 1, 4, 4), torch.tensor([0, 1])))
    with pytest.raises(ConfigurationError, match="targets"):
        TargetedAPGD(0.1, targets=0)


def test_it_is_stronger_than_pgm_at_the_same_cost():
    model, images = robust_digits()
    weak, strong = (result.robust for result in evaluate(model, images, [pgm(EPS, 100), APGD(EPS, 100)]))
    assert strong <= weak


def test_it_is_as_strong_as_its_authors_code():
    pytest.importorskip("pyautoattack", reason="pyautoattack is not installed: pip install 'bilevel[eval]'")
    from tasks.vision.attacks.auto_attack import AutoAttackPart

    model, images = robust_digits()
    pairs = [
        (200, APGD(EPS), AutoAttackPart(EPS, "apgd-ce")),
        (100, TargetedAPGD(EPS), AutoAttackPart(EPS, "apgd-t")),
    ]
    for count, *attacks in pairs:
        ours, theirs = (result.robust for result in evaluate(model, images.subset(slice(0, count)), attacks))
        assert abs(ours - theirs) <= 0.01
        assert 0.1 < ours < 0.9
