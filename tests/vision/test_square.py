"""The Square attack: what it changes, when it stops, and that it needs no gradient."""

from __future__ import annotations

import pytest
import torch
from small_classifiers import Counting, Mixed, TwoClasses, two_classes

from bilevel.errors import ConfigurationError, NonFiniteError
from tasks.vision.attacks import Square
from tasks.vision.data import ImageBatch, Images
from tasks.vision.evaluation import evaluate


def test_the_squares_shrink_as_in_the_paper():
    attack = Square(0.1, 10_000, share=0.8)
    # The share of 0.8 is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 queries.
    sides = [attack.size(query, 32, 32) for query in (1, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    shares = [0.8 / 2**k for k in (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert sides == [max(1, round((share * 1024) ** 0.5)) for share in shares]
    assert attack.size(1, 4, 32) == 4
    assert Square(0.1, 100).size(1, 8, 8) == 4  # the first of 100 queries is like the 100th of 10,000: 0.2 of 64 pixels


def test_every_change_is_eps_or_stops_at_the_border():
    x = torch.rand(20, 3, 4, 4, dtype=torch.float64)
    found = Square(0.2, 30)(Mixed(3).double(), ImageBatch(x, torch.zeros(20, dtype=torch.int64)))
    reach = torch.minimum((found - (x + 0.2).clamp(max=1)).abs(), (found - (x - 0.2).clamp(min=0)).abs())
    assert reach.max() < 1e-12


def test_it_finds_the_strongest_attack_on_a_linear_classifier():
    model = two_classes()
    x = 0.3 + 0.4 * torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = model(x).argmax(1)
    stands = model(Square(0.05, 2000)(model, ImageBatch(x, y))).argmax(1) == y
    # On 16 pixels, 2000 queries, most of single pixels, find every sign.
    assert torch.equal(stands, model.lead(x, y) > 0.05 * model.w.detach().abs().sum())
    assert 5 < stands.sum() < 55


def test_more_queries_only_gain():
    model = Mixed().eval()
    x = torch.rand(50, 1, 4, 4)
    batch = ImageBatch(x, model(x).argmax(1))
    lost = [int((model(Square(0.1, count)(model, batch)).argmax(1) != batch.y).sum()) for count in (1, 50, 400)]
    assert lost == sorted(lost)
    assert lost[0] < lost[-1]


def test_a_fooled_sample_is_shown_no_more_and_no_graph_is_made():
    w = torch.zeros(1, 4, 4)
    model = Counting(TwoClasses(w, b=1.0))  # always class 1
    graphs = []
    model.register_forward_hook(lambda _, __, output: graphs.append(output.requires_grad))
    y = torch.tensor([1, 0, 1, 0, 0])
    Square(0.1, 40)(model, ImageBatch(torch.full((5, 1, 4, 4), 0.5), y))
    assert model.sizes == [5] + 39 * [2]
    assert not any(graphs)


def test_logits_that_are_no_numbers_are_seen():
    class Breaks(TwoClasses):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x) * (float("nan") if self.calls > 3 else 1.0)

    model = Breaks(torch.zeros(1, 4, 4), b=1.0)
    images = Images(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.ones(4, dtype=torch.int64), 2, "black")
    with pytest.raises(NonFiniteError, match="not a number"):
        evaluate(model, images, [Square(0.1, 20)])


def test_bad_settings_are_refused():
    with pytest.raises(ConfigurationError, match="share"):
        Square(0.1, 10, share=0.0)
    with pytest.raises(ConfigurationError, match="queries"):
        Square(0.1, 0)
