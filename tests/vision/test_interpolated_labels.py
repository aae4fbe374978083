"""Labels of interpolated images: away from the partner's class, within the simplex."""

from __future__ import annotations

import pytest
import torch
from interpolation_by_hand import EPS, labels_by_hand, warm

from bilevel.errors import ConfigurationError
from tasks.vision.games import Interpolation, InterpolationTraining, Terms
from tasks.vision.games.interpolation import interpolated_labels


@pytest.mark.parametrize("label_eps", [0.0, 0.5, 0.9, 1.0])
def test_labels_move_away_from_the_partners_class(label_eps):
    y, partner = torch.tensor([0, 1, 2, 2]), torch.tensor([2, 2, 1, 2])
    found = interpolated_labels(y, partner, 4, label_eps, torch.float64)
    torch.testing.assert_close(found, labels_by_hand(y, partner, 4, label_eps))
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64))
    assert found.min() >= 0


def test_the_printed_label_is_the_nearest_to_the_formula_in_the_simplex():
    """Eq. 6 of Jiang et al.: a segment from the label to the even mixture of the classes that are not the partner's."""
    label = interpolated_labels(torch.tensor([0]), torch.tensor([1]), 3, 0.5)
    torch.testing.assert_close(label, torch.tensor([[0.5 + 0.25, 0.0, 0.25]]))


@pytest.mark.parametrize("label_eps", [-0.1, 1.1, float("nan")])
def test_a_label_that_would_leave_the_simplex(label_eps):
    for build in (
        lambda: Interpolation(label_eps),
        lambda: InterpolationTraining(warm(), Terms(EPS), label_eps=label_eps),
    ):
        with pytest.raises(ConfigurationError, match=r"label_eps.*in \[0, 1\]"):
            build()
