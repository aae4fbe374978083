"""AutoAttack: its authors' four attacks in their order, and clear words where it cannot be run."""

from __future__ import annotations

import sys

import pytest
import torch
from digits_classifier import EPS, robust_digits
from small_classifiers import Mixed, two_class_images, two_classes
from torch import nn

from bilevel.errors import ConfigurationError, TaskError
from tasks.vision.assess import ATTACKS, usual_attacks
from tasks.vision.attacks import AutoAttack, auto_attack, named
from tasks.vision.attacks.auto_attack import AutoAttackPart
from tasks.vision.data import ImageBatch
from tasks.vision.evaluation import evaluate

needed = pytest.mark.skipif(not auto_attack.installed(), reason="pyautoattack is not installed: 'bilevel[eval]'")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)  # what Python itself does for a module that is barred
    assert not auto_attack.installed()
    with pytest.raises(ConfigurationError, match=r"not installed: pip install 'bilevel\[eval\]'"):
        named("autoattack", 0.1)
    with pytest.warns(UserWarning, match=r"upper bounds.*bilevel\[eval\]"):
        assert usual_attacks() == tuple(name for name in ATTACKS if name != "AutoAttack")


@needed
def test_it_leads_the_usual_attacks():
    assert usual_attacks()[0] == "AutoAttack"


@needed
@pytest.mark.parametrize("part", ["apgd-ce", "apgd-t"])
def test_each_part_is_its_authors_standard_version(part):
    from pyautoattack import AutoAttack as Package

    model, images = robust_digits()
    batch = images.subset(slice(0, 24)).batch()
    package = Package(model, norm="Linf", eps=EPS, seed=5, version="standard")
    assert package.attacks_to_run == list(auto_attack.PARTS)
    package.attacks_to_run = [part]
    with torch.random.fork_rng():
        theirs, _ = package.run_standard_evaluation(batch.x, batch.y, batch_size=24)
    assert torch.equal(AutoAttackPart(EPS, part, seed=5)(model, batch), theirs)
    assert not torch.equal(theirs, batch.x)


@needed
def test_its_stages_meet_what_is_left():
    attack = AutoAttack(0.1, seed=3)
    assert [stage.name.split()[1] for stage in attack.stages] == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert {stage.seed for stage in attack.stages} == {3}
    assert attack.describe()["eps"] == 0.1


@needed
def test_too_few_classes_are_refused():
    with pytest.raises(TaskError, match="at least 4 classes"):
        evaluate(two_classes(), two_class_images(two_classes()), [AutoAttack(0.1)])


@needed
def test_what_its_checks_find_is_said():
    class Probabilities(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = Mixed()

        def forward(self, x):
            return self.model(x).softmax(1)

    batch = ImageBatch(torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 3]))
    with pytest.warns(UserWarning, match="AutoAttack: it seems that the output is a probability"):
        AutoAttackPart(0.01, "apgd-ce")(Probabilities(), batch)


@needed
def test_a_debugger_stays_where_it_is():
    def tracer(frame, event, argument):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        AutoAttackPart(0.01, "apgd-ce")(Mixed(), ImageBatch(torch.rand(2, 1, 4, 4), torch.tensor([0, 1])))
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
