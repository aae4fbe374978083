import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bilevel import learned
from bilevel.errors import ConfigurationError

RAW = (learned.Iterate(), learned.Direction())


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("network", "expected"),
    [(learned.Wide(), 1_630_601), (learned.Wide(tapered=True), 1_747_851), (learned.Slim(), 1_434_359)],
)
def test_the_papers_networks_have_their_sizes(network, expected: int) -> None:
    with torch.device("meta"):
        assert count(network(6, 3)) == expected


def test_the_small_network_is_small() -> None:
    assert count(learned.Small()(2, 1)) == 2_801


def test_the_update_is_the_formula() -> None:
    rule = learned.Convolutional(2, partial(nn.Conv2d, kernel_size=1), scale=0.3, inputs=RAW).double()
    z, g = torch.randn(2, 2, 3, 4, dtype=torch.float64), torch.randn(2, 2, 3, 4, dtype=torch.float64)
    expected = 0.3 * torch.tanh(rule.network(torch.cat([z, -g], dim=1)))
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0], expected, rtol=1e-14, atol=0)


def test_it_can_be_gradient_descent() -> None:
    rule = learned.Convolutional(
        1, partial(nn.Conv2d, kernel_size=1, bias=False), scale=0.5, inputs=RAW, output=nn.Identity()
    ).double()
    with torch.no_grad():
        rule.network.weight.copy_(torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1))
    z, g = torch.randn(2, 1, 3, 3, dtype=torch.float64), torch.randn(2, 1, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(rule.update(g, rule.init(z), params=z)[0], -0.5 * g, rtol=1e-15, atol=0)


@pytest.mark.parametrize("network", [learned.Small(width=3), learned.Small(width=3, skip=True), learned.Slim()])
def test_no_pixel_changes_by_more_than_the_scale(network) -> None:
    torch.manual_seed(0)
    rule = learned.Convolutional(1, network, scale=0.2, inputs=RAW).double().eval()
    z = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    updates, _ = rule.update(1e6 * torch.randn_like(z), rule.init(z), params=z)
    assert 0.19 < updates.abs().max() <= 0.2


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (6, 3), (1, 2)])
@pytest.mark.parametrize("network", [learned.Small(width=2), learned.Slim(), learned.Wide()])
def test_any_image_size_is_kept(network, size: tuple[int, int]) -> None:
    z = torch.rand(2, 1, *size)
    rule = learned.Convolutional(1, network, scale=0.2)
    with torch.no_grad():
        assert rule.update(z, rule.init(z), params=z)[0].shape == z.shape


def test_a_sample_depends_on_its_batch_by_the_batch_maximum_only() -> None:
    z, g = torch.rand(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    other = torch.stack([g[0], 50 * g[1]])
    for preprocess, coupled in ((learned.BatchMax(), True), (learned.SampleRMS(), False), (learned.Raw(), False)):
        torch.manual_seed(0)
        inputs = (learned.Iterate(), learned.Direction(preprocess))
        rule = learned.Convolutional(1, learned.Small(width=4), scale=0.2, inputs=inputs).double().eval()
        first, second = (
            rule.update(one.double(), rule.init(z.double()), params=z.double())[0][0] for one in (g, other)
        )
        assert torch.allclose(first, second, rtol=1e-12, atol=0) != coupled


def test_the_skip_shows_the_last_layer_the_input() -> None:
    network = learned.Small(width=4, skip=True)(2, 1)
    x = torch.rand(3, 2, 5, 5)
    with torch.no_grad():
        network.last.weight[:, :4].zero_()  # the features no longer count
        expected = F.conv2d(x, network.last.weight[:, 4:], network.last.bias, padding=1)
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("skip", [False, True])
def test_a_zero_last_layer_gives_a_zero_first_update(skip: bool) -> None:
    rule = learned.Convolutional(1, learned.Small(zero_last=True, skip=skip), scale=0.2)
    z = torch.rand(2, 1, 4, 4)
    assert torch.equal(rule.update(z, rule.init(z), params=z)[0], torch.zeros_like(z))


def test_the_residual_block_is_its_formula() -> None:
    torch.manual_seed(0)
    block = learned.ResidualBlock(2, 3).double()
    norm1, slope1, conv1, norm2, slope2, conv2 = block.residual
    assert norm1.weight is norm2.weight is None
    x = torch.randn(4, 2, 5, 5, dtype=torch.float64)
    h = F.prelu(F.batch_norm(x, None, None, training=True), slope1.weight)
    h = F.conv2d(h, conv1.weight, conv1.bias, padding=1)
    h = F.prelu(F.batch_norm(h, None, None, training=True), slope2.weight)
    h = F.conv2d(h, conv2.weight, conv2.bias, padding=1)
    expected = h + F.conv2d(x, block.shortcut.weight, block.shortcut.bias)
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)
    assert count(learned.ResidualBlock(3, 3).shortcut) == 0


def test_the_residual_block_starts_as_xavier_with_its_gains() -> None:
    torch.manual_seed(0)
    block = learned.ResidualBlock(64, 128)
    for weight, gain in ((block.residual[2].weight, math.sqrt(2)), (block.shortcut.weight, 1.0)):
        area = weight[0, 0].numel()
        bound = gain * math.sqrt(6 / (area * (64 + 128)))
        assert 0.99 * bound < weight.abs().max() <= bound * (1 + 1e-6)


def test_the_slim_networks_gain_multiplies_its_output_and_is_learned() -> None:
    x = torch.rand(2, 2, 4, 4)
    outputs = []
    for gain in (1.0, 5.0):
        torch.manual_seed(0)
        outputs.append(learned.Slim(gain)(2, 1).eval()(x))
    torch.testing.assert_close(outputs[1], 5 * outputs[0])


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4, 4), (1, 4, 4)])
def test_what_is_no_batch_of_images_is_refused(shape: tuple[int, ...]) -> None:
    rule, z = learned.Convolutional(1, learned.Small(), scale=0.2), torch.rand(shape)
    with pytest.raises(ConfigurationError, match=r"it needs images \(n, c, h, w\) with c = 1"):
        rule.update(z, rule.init(z), params=z)


def test_settings_out_of_range_are_refused() -> None:
    for scale in (0.0, -1.0, math.nan):
        with pytest.raises(ConfigurationError, match="scale"):
            learned.Convolutional(1, learned.Small(), scale=scale)
    with pytest.raises(ConfigurationError, match="channels"):
        learned.Convolutional(0, learned.Small(), scale=0.1)
    with pytest.raises(ConfigurationError, match="width"):
        learned.Small(width=0)
    with pytest.raises(ConfigurationError, match="builds its network itself"):
        learned.Convolutional(1, nn.Conv2d(2, 1, 3), scale=0.1)


def test_a_network_that_changes_the_size_is_refused() -> None:
    rule, z = learned.Convolutional(1, partial(nn.Conv2d, kernel_size=3), scale=0.2), torch.rand(2, 1, 4, 4)
    with pytest.raises(ConfigurationError, match="keep height and width"):
        rule.update(z, rule.init(z), params=z)
