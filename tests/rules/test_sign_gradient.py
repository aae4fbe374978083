import math

import pytest
import torch

from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient


def test_the_update_is_the_step_against_the_sign() -> None:
    rule = SignGradient(0.25)
    updates, state = rule.update(torch.tensor([3.0, -1e-30, 0.0]), rule.init(torch.zeros(3)), params=None)
    assert torch.equal(updates, torch.tensor([-0.25, 0.25, 0.0]))
    assert state == ()


def test_k_steps_move_k_lengths() -> None:
    rule, z = SignGradient(0.5), torch.tensor([10.0, -10.0], dtype=torch.float64)
    state = rule.init(z)
    for _ in range(4):
        updates, state = rule.update(2 * z, state, params=z)  # the follower's loss is |z|^2
        z = z + updates
    assert torch.equal(z, torch.tensor([8.0, -8.0], dtype=torch.float64))


def test_not_a_number_stays_visible() -> None:
    rule = SignGradient(0.5)
    assert rule.update(torch.tensor([math.nan]), ())[0].isnan().all()


@pytest.mark.parametrize("step", [0.0, -0.1, math.inf, math.nan])
def test_the_step_must_be_positive_and_finite(step: float) -> None:
    with pytest.raises(ConfigurationError, match="step"):
        SignGradient(step)
