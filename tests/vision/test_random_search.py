"""Random search: its distribution, and draws only for those that stand."""

from __future__ import annotations

import torch
from attack_cases import images
from small_classifiers import Counting, TwoClasses, two_classes

from tasks.vision.attacks import Random
from tasks.vision.data import ImageBatch


def test_one_random_draw_is_a_uniform_draw_clipped():
    model, batch = two_classes(torch.float32), images(classes=2)
    found = Random(0.3, draws=1, seed=7)(model, batch)
    noise = torch.empty_like(batch.x).uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(7))
    assert torch.equal(found, (batch.x + noise).clamp(0, 1))


def test_random_search_succeeds_as_often_as_its_definition_says():
    n, draws = 4000, 5
    model = TwoClasses(torch.ones(1, 1, 1), b=-0.66)  # a draw from 0.5 ± 0.2 is above 0.66 with probability 0.1
    batch = ImageBatch(torch.full((n, 1, 1, 1), 0.5), torch.zeros(n, dtype=torch.int64))
    stands = (model(Random(0.2, draws)(model, batch)).argmax(1) == 0).double().mean().item()
    deviation = (0.9**draws * (1 - 0.9**draws) / n) ** 0.5
    assert abs(stands - 0.9**draws) < 4 * deviation


def test_a_fooled_sample_gets_no_more_draws_and_no_pass_is_larger_than_the_batch():
    model = Counting(TwoClasses(torch.zeros(1, 4, 4), b=-1.0))  # always class 0
    x = torch.full((10, 1, 4, 4), 0.5)
    y = torch.tensor([0, 1] * 5)
    Random(0.2, draws=9)(model, ImageBatch(x, y))
    assert model.sizes == [10] * 5  # 10 first draws, and the 8 others of the 5 that stand, two at a time
    model.sizes.clear()
    Random(0.2, draws=9)(model, ImageBatch(x[:4], y[:4]))
    assert sum(model.sizes) == 2 + 2 * 9
    assert max(model.sizes) == 4


def test_the_first_success_is_kept():
    model = TwoClasses(torch.ones(1, 1, 1), b=-0.55)
    batch = ImageBatch(torch.full((50, 1, 1, 1), 0.5), torch.zeros(50, dtype=torch.int64))
    few, many = (Random(0.2, draws, seed=3)(model, batch) for draws in (1, 40))
    fooled = model(few).argmax(1) == 1
    assert fooled.any()
    assert torch.equal(few[fooled], many[fooled])
    assert (model(many).argmax(1) == 1).all()
