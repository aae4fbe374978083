"""The classifiers."""

from __future__ import annotations

import pytest
import torch
from small_classifiers import Mixed

from bilevel.errors import ConfigurationError
from tasks.vision.data import Images
from tasks.vision.networks import (
    MNISTNet,
    Normalise,
    PreActResNet,
    ResNet,
    SmallConvNet,
    WideResNet,
    WithFeatures,
)
from tasks.vision.networks.usual import usual_normalisation


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("depth", "widen", "parameters"), [(34, 10, 46_160_474), (28, 10, 36_479_194)])
def test_wide_resnets_have_the_published_number_of_parameters(depth, widen, parameters):
    with torch.device("meta"):
        assert count(WideResNet(depth, widen)) == parameters


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (lambda: ResNet(18), 11_173_962),
        (lambda: ResNet(34), 21_282_122),
        (lambda: ResNet(50), 23_520_842),
        (lambda: PreActResNet(18), 11_172_170),
        (MNISTNet, 312_202),
    ],
)
def test_networks_have_the_published_number_of_parameters(build, parameters):
    with torch.device("meta"):
        assert count(build()) == parameters


def test_resnet_of_another_size():
    """By hand: a bottleneck of width w is three convolutions with norms, and a projection where the shape changes."""

    def block(before, width, strided):
        projection = 4 * width * before + 8 * width if before != 4 * width or strided else 0
        return width * before + 9 * width * width + 4 * width * width + 2 * (width + width + 4 * width) + projection

    total, before = 1 * 2 * 9 + 2 * 2, 2
    for group, blocks in enumerate((3, 4, 6, 3)):
        for i in range(blocks):
            total += block(before, 2 << group, bool(group and i == 0))
            before = 4 * (2 << group)
    assert count(ResNet(50, channels=1, classes=7, width=2)) == total + 64 * 7 + 7


def test_wide_resnet_of_another_size():
    """By hand: stem 3*16*9; per group the blocks' convolutions, norms and the shortcut; last norm and linear layer."""

    def block(before, after):
        shortcut = before * after if before != after else 0
        return 9 * before * after + 9 * after * after + shortcut + 2 * before + 2 * after

    expected = (
        1 * 16 * 9 + block(16, 32) + block(32, 32) + block(32, 64) + block(64, 64) + block(64, 128) + block(128, 128)
    )
    assert count(WideResNet(16, 2, channels=1, classes=7)) == expected + 2 * 128 + 128 * 7 + 7


def test_small_net_has_between_50_and_100_thousand_parameters():
    assert 50_000 <= count(SmallConvNet()) <= 100_000


@pytest.mark.parametrize(
    "build",
    [
        lambda c: SmallConvNet(c, 5, width=4),
        lambda c: WideResNet(10, 1, c, 5),
        lambda c: ResNet(18, c, 5, width=4),
        lambda c: ResNet(50, c, 5, width=4),
        lambda c: PreActResNet(18, c, 5, width=4),
    ],
)
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32)])
def test_logits_of_every_image_size(build, channels, size):
    assert build(channels)(torch.rand(2, channels, size, size)).shape == (2, 5)


def test_the_net_for_mnist_takes_larger_images_and_refuses_small_ones():
    assert MNISTNet(3, 5, width=4)(torch.rand(2, 3, 32, 32)).shape == (2, 5)
    with pytest.raises(ConfigurationError, match="16 x 16"):
        MNISTNet()(torch.rand(2, 1, 15, 16))


@pytest.mark.parametrize(
    "build",
    [
        lambda **k: SmallConvNet(3, width=4, **k),
        lambda **k: WideResNet(10, 1, **k),
        lambda **k: ResNet(width=4, **k),
        lambda **k: PreActResNet(width=4, **k),
        lambda **k: MNISTNet(3, width=4, **k),
    ],
)
def test_normalisation_is_inside(build):
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    torch.manual_seed(0)
    bare = build().eval()
    torch.manual_seed(0)
    model = build(normalise=Normalise(mean, std)).eval()
    x = torch.rand(2, 3, 16, 16)
    by_hand = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)
    torch.testing.assert_close(model(x), bare(by_hand))
    assert set(model.state_dict()) == {*bare.state_dict(), "normalise.mean", "normalise.std"}


def test_the_usual_normalisation_is_that_of_a_known_set_and_measured_of_another():
    pixels = torch.randint(0, 17, (50, 3, 4, 4), dtype=torch.uint8)
    pixels[:, 2] = 8
    images = Images(pixels, torch.zeros(50, dtype=torch.int64), classes=2, name="mine", levels=16)
    found = usual_normalisation(images)
    values = (pixels.double() / 16).transpose(0, 1).flatten(1)
    torch.testing.assert_close(found.mean.flatten(), values.mean(1).float())
    std = values.std(1, correction=0).float()
    assert std[2] == 0
    torch.testing.assert_close(found.std.flatten(), torch.stack([std[0], std[1], torch.tensor(1.0)]))
    known = usual_normalisation(Images(pixels, images.labels, classes=10, name="CIFAR-10"))
    torch.testing.assert_close(known.mean.flatten(), torch.tensor([0.4914, 0.4822, 0.4465]))


@pytest.mark.parametrize(
    ("build", "features"),
    [
        (SmallConvNet, 64 * 16),
        (lambda: WideResNet(10, 2, 1), 128),
        (lambda: ResNet(18, 1, width=4), 32),
        (lambda: ResNet(50, 1, width=4), 128),
        (lambda: PreActResNet(18, 1, width=4), 32),
        (lambda: MNISTNet(width=4), 200),
    ],
)
def test_logits_are_a_linear_function_of_the_embedding(build, features):
    model, x = build().eval(), torch.rand(3, 1, 16, 16)
    embedding = model.embed(x)
    assert embedding.shape == (3, features)
    by_hand = embedding @ model.classify.weight.T + model.classify.bias
    torch.testing.assert_close(model(x), by_hand)
    assert torch.equal(model(x), model.classify(embedding))


def test_features_of_another_network():
    theirs = Mixed().eval()
    model, x = WithFeatures(theirs, layer="head").eval(), torch.rand(3, 1, 4, 4)
    assert torch.equal(model.embed(x), theirs.norm(theirs.conv(x)).relu().flatten(1))
    assert torch.equal(model.classify(model.embed(x)), model(x))
    assert torch.equal(model(x), theirs(x))
    assert list(model.state_dict()) == [f"model.{name}" for name in theirs.state_dict()]
    assert not theirs.head._forward_pre_hooks


def test_features_of_a_layer_that_is_not_there_or_not_used():
    with pytest.raises(ConfigurationError, match=r"no linear layer 'fc'; it has: head"):
        WithFeatures(Mixed())
    theirs = Mixed()
    theirs.spare = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigurationError, match="No image passes through the layer 'spare'"):
        WithFeatures(theirs, layer="spare").embed(torch.rand(3, 1, 4, 4))


def test_dropout_is_used_in_training_only():
    model = WideResNet(10, 1, 1, dropout=0.5)
    x = torch.rand(4, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WideResNet(30, 10), "6n"),
        (lambda: WideResNet(4, 10), "6n"),
        (lambda: WideResNet(10, 0), "widen"),
        (lambda: WideResNet(10, 1, dropout=1.0), "dropout"),
        (lambda: SmallConvNet(width=0), "width"),
        (lambda: MNISTNet(classes=0), "classes"),
        (lambda: ResNet(20), "18, 34, 50, 101, 152"),
        (lambda: ResNet(channels=0), "channels"),
        (lambda: PreActResNet(50), "18, 34"),
        (lambda: Normalise([0.5], [0.0]), "std above 0"),
        (lambda: Normalise([0.5, 0.5], [1.0]), "each channel"),
    ],
)
def test_numbers_out_of_range(build, message):
    with pytest.raises(ConfigurationError, match=message):
        build()
