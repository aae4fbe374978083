"""Attacks that begin where the last one on the same image ended."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError
from tasks.vision.beginning import Beginning
from tasks.vision.data import ImageBatch
from tasks.vision.threat import Threat


@final
class WarmStart(Beginning):
    r"""The last perturbation δ_i of every image, and the sign s_i of the classifier's gradient there.

    $$z_0 = x_i + \delta_i + \rho \, \epsilon \, s_i, \qquad
    \delta_i, \, s_i \leftarrow z_K - x_i, \ \mathrm{sign} \nabla_z \mathrm{CE}(f_\theta(z_K), y_i)$$

    The gradient comes out of the classifier's own backward pass, so that one step of the attack costs nothing but
    being a visit of the image old. At the first visit δ_i is drawn uniformly from the ball and s_i is 0. Both follow
    an image that is shifted or flipped: they are kept for the image as it lies in the set. What a shift puts out of
    sight stays as it was, and what it brings in from outside the image begins at 0.

    Args:
        samples: how many images the training set has.
        push: ρ, the length of the step along the kept sign, in multiples of ε; at least 0.

    Raises:
        ConfigurationError: if an argument is out of range.

    Source: the reuse of perturbations goes back to Shafahi et al. 2019 and Zheng et al. 2020 (ATTA), who move them
    along with the images too.
    """

    remembers = True

    def __init__(self, samples: int, push: float = 0.5) -> None:
        if samples < 1 or not (push >= 0 and math.isfinite(push)):
            raise ConfigurationError(
                f"A warm start needs at least 1 sample and a push of at least 0, got {samples} and {push}."
            )
        self.samples = samples
        self.push = push
        self.kept: tuple[Tensor, Tensor] | None = None

    def start(self, batch: ImageBatch, threat: Threat) -> Float[Tensor, "n c h w"]:
        """Return where the attack on ``batch`` begins."""
        index, eps = self._index(batch), threat.eps
        if self.kept is None:
            shape = (self.samples, *batch.x.shape[1:])
            uniform = torch.empty(shape, dtype=batch.x.dtype, device=batch.x.device).uniform_(-eps, eps)
            self.kept = uniform, torch.zeros_like(uniform)
        perturbation, sign = (kept[index] for kept in self.kept)
        if batch.movement is not None:
            perturbation, sign = batch.movement(perturbation), batch.movement(sign)
        return threat.project(batch.x, batch.x + perturbation + (self.push * eps) * sign)

    def remember(self, batch: ImageBatch, answer: Float[Tensor, "n c h w"], gradient: Float[Tensor, "n c h w"]) -> None:
        """Keep the perturbations that an attack ended with."""
        if self.kept is not None:
            index = self._index(batch)
            back = None if batch.movement is None else batch.movement.inverse()
            for kept, new in zip(self.kept, (answer - batch.x, gradient.sign()), strict=True):
                if back is None:
                    kept[index] = new
                else:
                    returned, visible = back.with_visible(new)
                    kept[index] = torch.where(visible, returned, kept[index])

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept."""
        return {} if self.kept is None else {"perturbation": self.kept[0], "sign": self.kept[1]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what was kept."""
        self.kept = (state["perturbation"].clone(), state["sign"].clone()) if state else None

    def _index(self, batch: ImageBatch) -> Tensor:
        if batch.sample is None:
            raise ConfigurationError(
                "A warm start needs to know which images a batch holds: give it batches with `sample`, as "
                "tasks.vision.data.Batches makes."
            )
        return batch.sample
