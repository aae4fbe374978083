"""The figure of examples: what it shows is what the attacks and the classifier say."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from small_classifiers import Mixed, two_class_images, two_classes

from bilevel.errors import ConfigurationError
from tasks.vision.attacks import PGM, fgsm, pgm
from tasks.vision.data import Images
from tasks.vision.examples import RIGHT, WRONG, example_figure


def coloured(n: int = 5, channels: int = 3) -> Images:
    pixels = torch.randint(0, 256, (n, channels, 4, 4), dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % 4, classes=4, name="coloured")


def columns(figure, rows):
    """Return the axes, column by column."""
    axes = figure.axes
    return [axes[i : i + rows] for i in range(0, len(axes), rows)]


def test_it_shows_the_images_the_perturbations_and_the_classes_seen():
    model = two_classes()
    images = two_class_images(model, n=8, wrong=1)
    attack = fgsm(0.1)
    figure = example_figure(model, images, [attack], indices=[0, 5, 3], class_names=["circle", "square"])
    clean, perturbed, change = columns(figure, 3)
    batch = images.batch(torch.tensor([0, 5, 3]))
    adversarial = attack(model, batch)
    for row in range(3):
        shown = [axes[row].get_images()[0].get_array() for axes in (clean, perturbed, change)]
        wanted = [batch.x[row], adversarial[row], (adversarial - batch.x)[row] * 5 + 0.5]
        for array, tensor in zip(shown, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(array).squeeze(), tensor.squeeze().numpy(), atol=1e-6)
        for axes, x in ((clean, batch.x), (perturbed, adversarial)):
            seen = model(x).argmax(1)[row].item()
            right = seen == batch.y[row].item()
            assert axes[row].get_title() == f"{['circle', 'square'][seen]} {'✓' if right else '✗'}"
            assert to_hex(axes[row].title.get_color()) == (RIGHT if right else WRONG)
        assert not change[row].get_title()
    assert to_hex(clean[0].title.get_color()) == WRONG
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["", "clean", "FGSM, ε = 0.1", "perturbed", "change × 5"]


@pytest.mark.parametrize("channels", [1, 3])
def test_one_and_three_channels_are_written_to_a_file(channels, tmp_path):
    images = coloured(channels=channels)
    figure = example_figure(Mixed(channels), images, [pgm(0.1, 2), fgsm(0.05)], magnify=[1.0, 5.0, 30.0])
    assert len(figure.axes) == 4 * (1 + 2 * 4)
    path = tmp_path / "examples.png"
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    arrays = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert all(array.min() >= 0 and array.max() <= 1 for array in arrays)


def test_by_default_the_first_of_each_of_four_classes():
    labels = torch.tensor([7, 2, 2, 9, 7, 0, 4])
    images = Images(torch.randint(0, 256, (7, 1, 4, 4), dtype=torch.uint8), labels, classes=10, name="seven")
    clean = columns(example_figure(Mixed(classes=10), images, [fgsm(0.1)]), 4)[0]
    for axes, index in zip(clean, [5, 1, 6, 0], strict=True):
        shown = torch.from_numpy(np.asarray(axes.get_images()[0].get_array())).squeeze()
        torch.testing.assert_close(shown, images.batch().x[index, 0])


def test_nothing_global_is_touched(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    model = Mixed(3).train()
    state, random = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    example_figure(model, Images(torch.zeros(4, 3, 4, 4, dtype=torch.uint8), torch.arange(4), 4, "black"), [fgsm(0.1)])
    assert "matplotlib.pyplot" not in sys.modules
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("attacks", "settings", "message"),
    [
        ([], {}, "one or more attacks"),
        ([PGM(0.1, 1, 0.1)], {"indices": [0, 5]}, "from 0 to 4"),
        ([PGM(0.1, 1, 0.1)], {"indices": []}, "from 0 to 4"),
        ([PGM(0.1, 1, 0.1)], {"magnify": [5.0, 0.0]}, "above 0"),
        ([PGM(0.1, 1, 0.1)], {"magnify": []}, "above 0"),
        ([PGM(0.1, 1, 0.1)], {"class_names": ["a"]}, "1 names for the 4 classes"),
    ],
)
def test_bad_settings_are_refused(attacks, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        example_figure(Mixed(3), coloured(), attacks, **settings)


def test_two_channels_cannot_be_drawn():
    with pytest.raises(ConfigurationError, match="2 channels cannot be drawn"):
        example_figure(Mixed(2), coloured(channels=2), [fgsm(0.1)])
