"""The tau search: what it finds, that images are searched by themselves, and that it is weak."""

from __future__ import annotations

import pytest
import torch
from digits_classifier import EPS, robust_digits
from small_classifiers import two_classes

from bilevel.errors import ConfigurationError
from tasks.vision.attacks import TauSearch, pgm
from tasks.vision.data import ImageBatch
from tasks.vision.evaluation import evaluate


@pytest.fixture
def problem():
    model = two_classes()
    x = 0.3 + 0.4 * torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return model, ImageBatch(x, model(x).argmax(1))


def test_an_image_is_fooled_within_the_ball_or_comes_back_clean(problem):
    model, batch = problem
    found = TauSearch(0.04, 50)(model, batch)
    fooled = model(found).argmax(1) != batch.y
    assert 3 < fooled.sum() < 37
    assert (found - batch.x).abs()[fooled].max() <= 0.04
    assert torch.equal(found[~fooled], batch.x[~fooled])


def test_nothing_is_fooled_that_cannot_be(problem):
    model, batch = problem
    fooled = model(TauSearch(0.04, 50)(model, batch)).argmax(1) != batch.y
    safe = model.lead(batch.x, batch.y) > 0.04 * model.w.detach().abs().sum()
    assert 3 < safe.sum() < 37
    assert not (fooled & safe).any()


def test_each_image_is_searched_by_itself(problem):
    model, batch = problem
    together = TauSearch(0.1, 20)(model, batch)
    for i in range(0, 40, 7):
        alone = TauSearch(0.1, 20)(model, ImageBatch(batch.x[i : i + 1], batch.y[i : i + 1]))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-9)


def test_it_is_weaker_than_pgm():
    model, images = robust_digits()
    few = images.subset(slice(0, 30))
    pgm20, search = (result.robust for result in evaluate(model, few, [pgm(EPS), TauSearch(EPS)]))
    assert search > pgm20 + 0.1


def test_bad_settings_are_refused():
    for settings in ({"iterations": 0}, {"lr": 0.0}, {"first": 0.0}, {"first": 1.0, "last": 0.1}):
        with pytest.raises(ConfigurationError, match="TauSearch"):
            TauSearch(0.1, **settings)
