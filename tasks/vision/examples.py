"""A figure of images, as they are and as attacks perturb them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.attacks import Attack, undisturbed
from tasks.vision.attacks.predict import predict
from tasks.vision.data import ImageBatch, Images

RIGHT, WRONG, MUTED = "#1a7f37", "#cf222e", "#57606a"

# Inches: an image, the strip above it, the heading of the figure, and the gaps between columns and groups of columns.
CELL, STRIP, HEADING, NARROW, WIDE, MARGIN = 1.0, 0.26, 0.46, 0.10, 0.36, 0.12


@final
@dataclass(frozen=True)
class _Column:
    """Images below each other; ``predicted`` names the class above each, ``heading`` the column."""

    images: Float[Tensor, "n c h w"]
    heading: str
    predicted: Int[Tensor, " n"] | None = None


@final
@dataclass(frozen=True)
class _Group:
    """Columns that belong together: the clean images, or what one attack made of them."""

    title: str
    columns: list[_Column] = field(default_factory=list)


def example_figure(
    model: nn.Module,
    images: Images,
    attacks: Sequence[Attack],
    *,
    indices: Sequence[int] | None = None,
    magnify: Sequence[float] | None = None,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Draw some images, clean and under each attack, with the perturbations magnified.

    The class that the model sees stands above each image: green and ticked where it is right, red and crossed where it
    is wrong. In the perturbation of a grey image red is lighter and blue darker; in that of a coloured one, grey is no
    change.

    Args:
        model: the classifier; it is left as it was found.
        images: where the examples come from.
        attacks: the attacks, from left to right.
        indices: which images, from top to bottom; by default the first of each of the first four classes that there
            are, whether or not the model gets them right.
        magnify: the factors at which each perturbation is shown, positive; by default the one at which ε spans all
            shades.
        class_names: how the classes are called; by default by their numbers.

    Returns:
        The figure; ``figure.savefig(path)`` writes it. Nothing global is touched.

    Raises:
        ConfigurationError: for no attacks, an index that is no image's, a factor that is not positive, or names that do
            not fit the classes.

    Source: the layout of Jiang et al. 2021, Fig. 4 and 5, which magnify by 5 and 30.
    """
    chosen = _choose(images) if indices is None else list(indices)
    names = [str(i) for i in range(images.classes)] if class_names is None else list(class_names)
    _check(images, attacks, chosen, magnify, names)
    parameter = next(model.parameters(), None)
    device = images.pixels.device if parameter is None else parameter.device
    batch = images.to(device).batch(torch.tensor(chosen, device=device))
    with undisturbed(model, device=device, seed=0):
        groups = [_Group("", [_Column(batch.x, "clean", predict(model, batch.x))])]
        groups += [_group(model, batch, attack, magnify) for attack in attacks]
    return _draw(groups, batch.y.tolist(), names)


def _choose(images: Images) -> list[int]:
    labels = images.labels.tolist()
    return [labels.index(one) for one in sorted(set(labels))[:4]]


def _check(
    images: Images,
    attacks: Sequence[Attack],
    chosen: Sequence[int],
    magnify: Sequence[float] | None,
    names: Sequence[str],
) -> None:
    if not attacks or not all(isinstance(one, Attack) for one in attacks):
        raise ConfigurationError(f"attacks must hold one or more attacks, as in [pgm(0.2)]; got {attacks!r}.")
    if not chosen or not all(0 <= i < len(images) for i in chosen):
        raise ConfigurationError(f"indices must lie from 0 to {len(images) - 1}, one at least; got {list(chosen)}.")
    if magnify is not None and not (magnify and all(factor > 0 for factor in magnify)):
        raise ConfigurationError(f"magnify must hold one or more factors above 0, got {magnify}.")
    if len(names) != images.classes:
        raise ConfigurationError(f"class_names has {len(names)} names for the {images.classes} classes.")
    if images.channels not in {1, 3}:
        raise ConfigurationError(f"Images of {images.channels} channels cannot be drawn; 1 (grey) or 3 (RGB) can.")


def _group(model: nn.Module, batch: ImageBatch, attack: Attack, magnify: Sequence[float] | None) -> _Group:
    """Return the perturbed images and their perturbations, which are centred at 1/2 and cut to [0, 1]."""
    perturbed = attack(model, batch)
    change = perturbed - batch.x
    eps = attack.describe().get("eps")
    # An attack without a radius spans the shades by its largest change.
    radius = float(eps) if isinstance(eps, int | float) else max(change.abs().max().item(), 1e-12)
    factors = [0.5 / radius] if magnify is None else magnify
    changes = [_Column((0.5 + factor * change).clamp(0, 1), f"change × {factor:.3g}") for factor in factors]
    title = attack.name if eps is None else f"{attack.name}, ε = {radius:.3g}"
    return _Group(title, [_Column(perturbed, "perturbed", predict(model, perturbed)), *changes])


def _draw(groups: Sequence[_Group], labels: Sequence[int], names: Sequence[str]) -> Figure:
    columns = sum(len(group.columns) for group in groups)
    width = 2 * MARGIN + columns * CELL + (columns - len(groups)) * NARROW + (len(groups) - 1) * WIDE
    height = HEADING + len(labels) * (CELL + STRIP) + MARGIN
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    left = MARGIN
    for group in groups:
        right = left + len(group.columns) * (CELL + NARROW) - NARROW
        middle, top = (left + right) / 2 / width, 1 - 0.08 / height
        figure.text(middle, top, group.title, ha="center", va="top", fontsize=10, weight="bold", parse_math=False)
        for column in group.columns:
            at = (left + CELL / 2) / width, 1 - 0.30 / height
            figure.text(*at, column.heading, ha="center", va="top", fontsize=8, color=MUTED, parse_math=False)
            _draw_column(figure, column, left, labels, names)
            left += CELL + NARROW
        left += WIDE - NARROW
    return figure


def _draw_column(figure: Figure, column: _Column, left: float, labels: Sequence[int], names: Sequence[str]) -> None:
    width, height = figure.get_size_inches()
    pictures = column.images.permute(0, 2, 3, 1).float().cpu().numpy()
    # Grey images keep their shades; their perturbations have a sign, which two colours show.
    images = column.predicted is not None
    # Not to the ends of the two-coloured map, which are nearly black.
    colors, low, high = ("gray", 0.0, 1.0) if images else ("RdBu_r", -0.2, 1.2)
    for row, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        bottom = height - HEADING - (row + 1) * (CELL + STRIP)
        axes = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height), xticks=[], yticks=[])
        axes.imshow(picture, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
        edge = "#d0d7de"
        if column.predicted is not None:
            seen = int(column.predicted[row])
            edge = RIGHT if seen == label else WRONG
            mark = "✓" if seen == label else "✗"
            axes.set_title(f"{names[seen]} {mark}", fontsize=9, pad=3, color=edge, parse_math=False)
        axes.spines[:].set(color=edge, linewidth=1.2)
