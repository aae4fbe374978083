import math

import pytest
import torch

from tasks.gail.rewards import REWARDS, Frozen, Haste, Logit, Survival

s = torch.tensor([-3.0, -0.5, 0.0, 0.7, 4.0], dtype=torch.float64)
expert = torch.sigmoid(s)


def test_the_forms_are_those_of_the_probability_of_the_expert() -> None:
    torch.testing.assert_close(Survival()(s), -torch.log(1 - expert), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(Haste()(s), torch.log(expert), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(Logit()(s), torch.log(expert) - torch.log(1 - expert), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(Logit()(s), Haste()(s) + Survival()(s), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
def test_more_like_the_expert_is_better_however_sure_the_discriminator_is(reward) -> None:
    sure = torch.tensor([-1e4, -200.0, -50.0, 0.0, 50.0, 200.0, 1e4])  # where a rounded probability is 0 or 1
    found = reward(sure)
    assert torch.isfinite(found).all()
    assert (found.diff() >= 0).all()
    assert found[-1] - found[0] >= 1e4


def test_their_signs() -> None:
    assert (Survival()(s) > 0).all()
    assert (Haste()(s) < 0).all()
    assert torch.equal(Logit()(s).sign(), s.sign())


@pytest.mark.parametrize(("reward", "value"), [(Survival(), math.log(2)), (Haste(), -math.log(2)), (Logit(), 0.0)])
def test_a_frozen_reward_is_that_of_one_half_for_every_pair(reward, value: float) -> None:
    torch.testing.assert_close(Frozen(reward)(s), torch.full_like(s, value), rtol=1e-15, atol=1e-15)
