import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.learned import BatchMax, LogSign, Preprocess, Raw, SampleRMS, Sign

ALL = [Raw(), BatchMax(), SampleRMS(), Sign(), LogSign(10.0)]
NORMALISERS = [BatchMax(), SampleRMS()]
HALF_AND_FULL = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
every = pytest.mark.parametrize("preprocess", ALL, ids=lambda p: type(p).__name__)
every_normaliser = pytest.mark.parametrize("preprocess", NORMALISERS, ids=lambda p: type(p).__name__)


@every
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 1, 3, 3)])
@pytest.mark.parametrize("dtype", HALF_AND_FULL)
def test_planes_have_the_shape_and_dtype_of_the_gradient(preprocess: Preprocess, shape: tuple, dtype) -> None:
    planes = preprocess(torch.randn(shape).to(dtype))
    assert [(plane.shape, plane.dtype) for plane in planes] == [(shape, dtype)] * preprocess.planes


@every
@pytest.mark.parametrize("dtype", HALF_AND_FULL)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_zero_gives_zero_and_a_finite_derivative(preprocess: Preprocess, dtype, shape: tuple) -> None:
    g = torch.zeros(shape, dtype=dtype, requires_grad=True)
    planes = preprocess(g)
    direction = planes[-1]
    assert torch.equal(direction, torch.zeros(shape, dtype=dtype))
    (derivative,) = torch.autograd.grad(sum((k + 1) * plane.sum() for k, plane in enumerate(planes)), g)
    assert torch.isfinite(derivative).all()
    if preprocess in NORMALISERS:
        assert torch.equal(derivative, torch.zeros(shape, dtype=dtype))


@every_normaliser
@pytest.mark.parametrize("dtype", HALF_AND_FULL)
def test_the_smallest_numbers_are_scaled_like_any_other(preprocess: Preprocess, dtype) -> None:
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps  # the least denormal
    g = torch.tensor([[smallest, -smallest], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    (plane,) = preprocess(g)
    assert torch.equal(plane, torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=dtype))
    (derivative,) = torch.autograd.grad(plane.sum(), g)
    assert not derivative.isnan().any()


@every_normaliser
@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_normalisers_do_not_depend_on_the_scale(preprocess: Preprocess, size: float) -> None:
    g = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(preprocess(size * g), preprocess(g), rtol=1e-13, atol=0)


@every
def test_what_is_not_finite_stays_visible(preprocess: Preprocess) -> None:
    assert not torch.isfinite(preprocess(torch.tensor([[1.0, math.nan]]))[-1]).all()


@every_normaliser
def test_derivatives_are_right(preprocess: Preprocess) -> None:
    g = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(preprocess, (g,))


def test_the_largest_entry_of_the_batch_becomes_one() -> None:
    g = torch.tensor([[1.0, -4.0], [0.5, 2.0]], dtype=torch.float64)
    assert torch.equal(BatchMax()(g)[0], g / 4)


def test_each_sample_gets_a_root_mean_square_of_one() -> None:
    g = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1e-200, 0.0]], dtype=torch.float64)
    rms = math.sqrt(12.5)
    expected = torch.tensor([[3 / rms, 4 / rms], [0.0, 0.0], [-math.sqrt(2), 0.0]], dtype=torch.float64)
    torch.testing.assert_close(SampleRMS()(g)[0], expected, rtol=1e-15, atol=0)


def test_a_vector_and_a_number_are_one_sample() -> None:
    vector = torch.tensor([3.0, -4.0], dtype=torch.float64)
    torch.testing.assert_close(SampleRMS()(vector)[0], vector / math.sqrt(12.5), rtol=1e-15, atol=0)
    assert SampleRMS()(torch.tensor(-0.3))[0] == -1


def test_the_batch_maximum_couples_samples_and_the_root_mean_square_does_not() -> None:
    one, other = torch.randn(1, 5), torch.randn(1, 5)
    together = torch.cat([one, 100 * other])
    assert torch.equal(SampleRMS()(together)[0][:1], SampleRMS()(one)[0])
    assert not torch.allclose(BatchMax()(together)[0][:1], BatchMax()(one)[0])


@given(st.floats(-1e3, 1e3), st.floats(1.0, 20.0))
@settings(deadline=None, max_examples=60)
def test_log_sign_is_its_formula(g: float, p: float) -> None:
    large = (math.log(abs(g)) / p, math.copysign(1.0, g)) if g else ()
    expected = large if abs(g) >= math.exp(-p) else (-1.0, math.exp(p) * g)
    planes = LogSign(p)(torch.tensor(g, dtype=torch.float64))
    assert [plane.item() for plane in planes] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_log_sign_at_its_edges() -> None:
    edge = math.exp(-10)
    size, direction = LogSign(10.0)(torch.tensor([0.0, edge / 2, edge, 1.0, -math.e], dtype=torch.float64))
    torch.testing.assert_close(size, torch.tensor([-1, -1, -1, 0, 0.1], dtype=torch.float64), rtol=1e-15, atol=1e-16)
    torch.testing.assert_close(direction, torch.tensor([0, 0.5, 1, 1, -1], dtype=torch.float64), rtol=1e-15, atol=0)


def test_the_derivative_of_log_sign_is_its_formulas() -> None:
    g = torch.tensor([0.0, 1e-6, 2.0], dtype=torch.float64, requires_grad=True)
    size, direction = LogSign(10.0)(g)
    expected = torch.tensor([0, 0, 1 / (10 * 2.0)], dtype=torch.float64)
    torch.testing.assert_close(torch.autograd.grad(size.sum(), g)[0], expected)
    expected = torch.tensor([math.exp(10), math.exp(10), 0], dtype=torch.float64)
    torch.testing.assert_close(torch.autograd.grad(direction.sum(), g)[0], expected)


@pytest.mark.parametrize("p", [0.0, -1.0, math.inf, math.nan])
def test_p_must_be_positive_and_finite(p: float) -> None:
    with pytest.raises(ConfigurationError, match="p is"):
        LogSign(p)


def test_preprocessings_are_settings_that_compare_by_value() -> None:
    assert LogSign() == LogSign(10.0) != LogSign(5.0)
    assert BatchMax() != SampleRMS()


def test_a_tensor_of_samples_counts_all_but_the_first_dimension() -> None:
    g = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    (plane,) = SampleRMS()(g)
    rms: Tensor = plane.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(rms, torch.ones(3, dtype=torch.float64), rtol=1e-14, atol=0)
