import pytest
import torch
from torch import nn

from bilevel.errors import ConfigurationError
from tasks.gail.discriminator import Discriminator
from tasks.gail.weighting import SpectralNorm


def test_the_papers_discriminator_of_cart_pole_has_2561_weights() -> None:
    discriminator = Discriminator(4 + 2)
    weights = discriminator.start(torch.zeros(()))
    assert discriminator.size == sum(w.numel() for w in weights.values()) == 2561
    assert {name: tuple(w.shape) for name, w in weights.items()} == discriminator.shapes


def test_the_logits_are_those_of_the_same_perceptron_of_torch() -> None:
    discriminator = Discriminator(5, (4, 3))
    z = {name: torch.randn(shape, dtype=torch.float64) for name, shape in discriminator.shapes.items()}
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    order = [z[name] for layer in range(3) for name in (f"weight{layer}", f"bias{layer}")]
    network.load_state_dict(dict(zip(network.state_dict(), order, strict=True)))
    x = torch.randn(7, 5, dtype=torch.float64)
    torch.testing.assert_close(discriminator.logits(z, x), network(x)[:, 0], rtol=1e-13, atol=1e-13)


def test_the_first_weights_depend_on_the_seed_and_on_nothing_else() -> None:
    first, again, other = Discriminator(3), Discriminator(3), Discriminator(3, seed=1)
    like = torch.zeros((), dtype=torch.float64)
    one = first.start(like)
    torch.rand(1)
    assert all(torch.equal(one[name], w) for name, w in again.start(like).items())
    assert not torch.equal(one["weight0"], other.start(like)["weight0"])
    assert one["weight1"].dtype == torch.float64
    assert 0.9 / 8 < one["weight1"].abs().max() <= 1 / 8  # 1/√64


def test_a_spectral_norm_leaves_no_larger_singular_value_and_has_the_right_slope() -> None:
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    scaled = SpectralNorm(0.5)(weight)
    torch.testing.assert_close(torch.linalg.svdvals(scaled)[0], torch.tensor(0.5, dtype=torch.float64))
    torch.testing.assert_close(scaled / weight, (scaled / weight)[:1, :1].expand(4, 3))  # only the length changes
    assert torch.autograd.gradcheck(SpectralNorm(0.5), (weight,))


def test_with_a_spectral_norm_the_logit_is_as_steep_as_allowed_at_most() -> None:
    discriminator = Discriminator(3, (8, 8), weighting=SpectralNorm(2.0))
    z = {name: 10 * torch.randn(shape, dtype=torch.float64) for name, shape in discriminator.shapes.items()}
    a, b = torch.randn(2, 200, 3, dtype=torch.float64)
    change = (discriminator.logits(z, a) - discriminator.logits(z, b)).abs()
    assert (change <= 2.0**3 * (a - b).norm(dim=1)).all()
    plain = Discriminator(3, (8, 8))
    assert ((plain.logits(z, a) - plain.logits(z, b)).abs() > 2.0**3 * (a - b).norm(dim=1)).any()


@pytest.mark.parametrize(("features", "hidden"), [(0, (4,)), (3, (4, 0)), (-1, ())])
def test_sizes_must_be_positive(features: int, hidden: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="must be positive"):
        Discriminator(features, hidden)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_the_scale_of_a_spectral_norm_must_be_positive(scale: float) -> None:
    with pytest.raises(ConfigurationError, match="must be positive and finite"):
        SpectralNorm(scale)
