"""How the images of a batch were shifted and flipped, so that what belongs to their pixels can follow them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class Movement:
    r"""A shift and perhaps a horizontal flip for each image of a batch.

    $$\mathrm{moved}_i(r, c) = \mathrm{image}_i\big(r + d_i, \; \tilde c + s_i\big), \qquad
    \tilde c = w - 1 - c \text{ if flipped, else } c$$

    What lies outside the image is 0. All images are moved at once, where they are, in their own number type.

    Args:
        down: d, how many rows further down in the image a pixel is fetched, for each image.
        right: s, how many columns further to the right.
        flipped: whether left and right change places.
    """

    down: Int64[Tensor, " n"]
    right: Int64[Tensor, " n"]
    flipped: Bool[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.down)

    def __getitem__(self, part: slice) -> Movement:
        return Movement(self.down[part], self.right[part], self.flipped[part])

    def to(self, device: torch.device | str) -> Movement:
        """Return the same movement on ``device``."""
        return Movement(self.down.to(device), self.right.to(device), self.flipped.to(device))

    def inverse(self) -> Movement:
        """Return the movement that brings back what is still visible."""
        # A flip turns the direction of the shift around once more.
        return Movement(-self.down, torch.where(self.flipped, self.right, -self.right), self.flipped)

    def __call__(self, images: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c h w"]:
        """Return the moved images, of the same type."""
        return self.with_visible(images)[0]

    def with_visible(
        self, images: Shaped[Tensor, "n c h w"]
    ) -> tuple[Shaped[Tensor, "n c h w"], Bool[Tensor, "n 1 h w"]]:
        """Return the moved images, and which of their pixels come from inside the images."""
        n, channels, height, width = images.shape
        rows = torch.arange(height, device=images.device) + self.down[:, None]
        columns = torch.arange(width, device=images.device).expand(n, width)
        columns = torch.where(self.flipped[:, None], width - 1 - columns, columns) + self.right[:, None]
        inside_rows, inside_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
        visible = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
        places = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
        fetched = images.flatten(2).gather(2, places.flatten(1)[:, None].expand(n, channels, height * width))
        return fetched.view(images.shape) * visible, visible
