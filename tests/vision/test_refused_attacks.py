"""Settings and models with which there is no attack are refused."""

from __future__ import annotations

import pytest
from attack_cases import images
from small_classifiers import Mixed
from torch import nn

from bilevel.errors import ConfigurationError, TaskError
from bilevel.rules import SignGradient
from tasks.vision.attacks import (
    APGD,
    PGM,
    Learned,
    Margin,
    Random,
    Square,
    TargetedAPGD,
    TauSearch,
    cw,
    fgsm,
    named,
    pgm,
)


@pytest.mark.parametrize("eps", [0.0, -0.1, 8.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "make",
    [
        pgm, cw, fgsm, APGD, TargetedAPGD, Square, TauSearch,
        lambda eps: Random(eps, 3), lambda eps: Learned(SignGradient(0.1), eps),
    ],
    ids=["pgm", "cw", "fgsm", "apgd", "apgd-t", "square", "tau", "random", "learned"],
)  # fmt: skip
def test_a_radius_out_of_range_is_refused(make, eps):
    with pytest.raises(ConfigurationError, match="eps"):
        make(eps)


@pytest.mark.parametrize("count", [0, -1, True])
def test_a_number_of_steps_out_of_range_is_refused(count):
    for make in (lambda n: pgm(0.1, n), lambda n: Random(0.1, n), lambda n: Learned(SignGradient(0.1), 0.1, n)):
        with pytest.raises(ConfigurationError, match="whole number from 1"):
            make(count)
    with pytest.raises(ConfigurationError, match="whole number from 1"):
        named("pgm-0", 0.2)


def test_other_bad_settings_are_refused():
    for step in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="step_size"):
            PGM(0.1, 3, step)
    with pytest.raises(ConfigurationError, match="confidence"):
        Margin(-1.0)
    with pytest.raises(ConfigurationError, match="init and update"):
        Learned(SignGradient, 0.1)  # the class, not a rule
    for marks in ([], [-1], [2, 2], [3, 1]):
        with pytest.raises(ConfigurationError, match="ascending"):
            pgm(0.1).path(Mixed(), images(), marks)


def test_a_model_without_logits_is_named():
    with pytest.raises(TaskError, match=r"Flatten must return logits of shape \(n, classes\)|Identity must return"):
        Random(0.1, 2)(nn.Identity(), images())
