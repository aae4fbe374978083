import pytest
import torch

from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.rules import Gradient
from bilevel.vector import join


def tree() -> dict[str, torch.Tensor]:
    return {"w": torch.randn(3, 2, dtype=torch.float64), "b": torch.randn(2, dtype=torch.float64)}


def test_the_update_is_the_formula() -> None:
    inner = learned.MLP(2, (4,))
    rule = learned.LowRank(inner, size=8, rank=2, zero_last=False).double()
    z, g = tree(), tree()
    p, q = rule.down, rule.up
    place, slope = (join([t["b"], t["w"]]) for t in (z, g))
    move, _ = inner.update(p @ slope, inner.init(p @ place), params=p @ place)
    update, _ = rule.update(g, rule.init(z), params=z)
    torch.testing.assert_close(join([update["b"], update["w"]]), q @ move, rtol=1e-13, atol=1e-14)


def test_the_number_of_parameters() -> None:
    m, r = 2561, 16
    rule = learned.LowRank(learned.MLP(r), size=m, rank=r)
    assert sum(p.numel() for p in rule.parameters()) == 2 * r * m + 52 * r**2 + 13 * r + 2 == 95_474


def test_the_first_update_is_zero_or_stays_within_the_subspace() -> None:
    z, g = torch.randn(2, 6, dtype=torch.float64)
    rule = learned.LowRank(learned.MLP(2), size=6, rank=2).double()
    assert torch.equal(rule.update(g, rule.init(z), params=z)[0], torch.zeros_like(z))
    rule = learned.LowRank(Gradient(0.1), size=6, rank=2, zero_last=False).double()
    p = rule.down
    torch.testing.assert_close(p @ p.t(), torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-6)
    update, _ = rule.update(g, rule.init(z), params=z)
    torch.testing.assert_close(update, -0.1 * p.t() @ (p @ g), rtol=1e-12, atol=1e-14)


def test_at_full_rank_it_is_the_rule_in_other_coordinates() -> None:
    rule = learned.LowRank(Gradient(0.1), size=5, rank=5, zero_last=False)
    z, g = torch.randn(2, 5)
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0], -0.1 * g)


def test_an_answer_of_another_size_is_refused() -> None:
    rule = learned.LowRank(learned.MLP(2), size=5, rank=2)
    with pytest.raises(ConfigurationError, match="LowRank was built for 5 numbers, and z has 4"):
        rule.init(torch.zeros(4))
    with pytest.raises(ConfigurationError, match="call update"):
        rule.update(torch.zeros(5), rule.init(torch.zeros(5)))


@pytest.mark.parametrize("rank", [0, 6])
def test_the_rank_must_be_from_one_to_the_size(rank: int) -> None:
    with pytest.raises(ConfigurationError, match="the rank must be from 1 to the size"):
        learned.LowRank(learned.MLP(2), size=5, rank=rank)
