"""Pictures of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import gymnasium
import numpy as np
import torch
from jaxtyping import UInt8

from bilevel.errors import ConfigurationError
from bilevel.rng import RandomSources
from tasks.gail.build import STRIDE
from tasks.gail.config import GAILConfig
from tasks.gail.environments import make
from tasks.gail.playing import Policy

if TYPE_CHECKING:
    from PIL import Image

_OFFSET: Final = 3 * STRIDE // 4  # other episodes than those of training and evaluation

Frame = UInt8[np.ndarray, "height width 3"]
"""A picture."""


@final
@dataclass(frozen=True, eq=False)
class Episode:
    """An episode in pictures.

    Attributes:
        frames: a picture before each step; none of the end, after which the next episode is there at once.
        total: what the policy earned.
    """

    frames: tuple[Frame, ...]
    total: float


def film(policy: Policy, config: GAILConfig, *, deterministic: bool = False) -> Episode:
    """Return an episode of a policy in pictures.

    Args:
        policy: who plays.
        config: names the environment and the seed.
        deterministic: whether the policy takes its likeliest action.

    Raises:
        ConfigurationError: if the environment draws nothing, or what it draws with is not installed.
    """
    seed = STRIDE * config.seed + _OFFSET
    try:
        with RandomSources().kept_aside():
            torch.manual_seed(seed)
            environments = make(config.env, count=1, seed=seed, horizon=config.horizon, render_mode="rgb_array")
            seen, total, done = environments.reset(), 0.0, False
            frames: list[Frame] = []
            while not done:
                frames.append(np.asarray(environments.get_images()[0]))
                action, _ = policy.predict(seen, deterministic=deterministic)
                seen, rewards, dones, _ = environments.step(action)
                total, done = total + float(rewards[0]), bool(dones[0])
            environments.close()
    except gymnasium.error.DependencyNotInstalled as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"{config.env} cannot be drawn: {reason}. Those that pygame draws need pip install 'bilevel[film]'."
        ) from error
    if frames[0].ndim != 3:
        raise ConfigurationError(f"{config.env} draws no pictures.")
    return Episode(tuple(frames), total)


def write_gif(frames: Sequence[Frame], path: Path, *, every: int = 2, width: int = 300) -> None:
    """Write an animation that is played for ever.

    Args:
        frames: the pictures, 50 a second.
        path: the GIF file.
        every: of so many pictures one is kept.
        width: of the animation, in pixels.
    """
    pictures = [_scaled(frame, width) for frame in frames[::every]]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=20 * every, loop=0, optimize=True)


def write_strip(frames: Sequence[Frame], path: Path, *, count: int = 8, width: int = 200) -> None:
    """Write pictures from the first to the last beside each other, as one PNG file.

    Args:
        frames: the pictures.
        path: the PNG file.
        count: how many are shown.
        width: of each, in pixels.
    """
    from PIL import Image as Raster
    from PIL import PngImagePlugin

    places = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    shown = [_scaled(frames[place], width) for place in places]
    strip = Raster.new("RGB", (sum(one.width for one in shown), shown[0].height))
    left = 0
    for one in shown:
        strip.paste(one, (left, 0))
        left += one.width
    about = PngImagePlugin.PngInfo()
    about.add_itxt("Description", f"An episode of {len(frames)} steps: steps {', '.join(map(str, places))}.")
    strip.save(path, pnginfo=about)


def _scaled(frame: Frame, width: int) -> Image.Image:
    from PIL import Image as Raster

    picture = Raster.fromarray(frame)
    return picture.resize((width, max(1, round(picture.height * width / picture.width))))
