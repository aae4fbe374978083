"""The ℓ∞ attack of Carlini and Wagner: a search for the least change, by a bound that shrinks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bilevel.errors import ConfigurationError, NonFiniteError
from bilevel.leader import frozen, parameters_of
from tasks.vision.attacks.base import Attack, check_count, check_eps, check_step
from tasks.vision.attacks.losses import lead_of_the_others
from tasks.vision.attacks.predict import check_logits
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch

_SHRINK = 0.9
_EDGE = 1 - 1e-6  # an image's ±1 would be infinitely far in the space of arctanh
_BETAS, _TINY = (0.9, 0.999), 1e-8


@final
@dataclass(frozen=True)
class TauSearch(Attack):
    r"""For each image by itself, Adam minimises a sum of misclassification and of what exceeds a bound τ.

    $$\min_w\ c\, \max\big(z_y - \max_{j \ne y} z_j,\ 0\big) + \sum_i \max(|x'_i - x_i| - \tau,\ 0),
    \qquad x' = (1 + \tanh w) / 2$$

    When the image found is misclassified, τ becomes 0.9 times the smaller of τ and the largest change, and the search
    goes on from it; when not, the constant c is multiplied by 10. The image is done when it is misclassified within ε.
    If no constant helps, or τ has fallen below ε/2, the search has failed, and *the clean image is returned*.

    This is a weak attack: the few iterations begin anew for each τ, it stops at the first constant that works, and a
    failed search counts as robust. It is here because the papers' "CW" numbers come from it. Do not rely on it.

    All images are searched at once, each with its own τ, c and Adam, so that a pass serves those that still search.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        iterations: of Adam, for one τ and c; 50 in the authors' code.
        lr: Adam's rate; 5e-3 there.
        first: the first c, 1e-5 there.
        last: the last c, 1e2 there.

    Raises:
        ConfigurationError: for a number out of range.

    Source: Carlini and Wagner 2017, section VI.C, as the public code of Jiang et al. 2021 has it.
    """

    eps: float
    iterations: int = 50
    lr: float = 5e-3
    first: float = 1e-5
    last: float = 1e2

    def __post_init__(self) -> None:
        check_eps("TauSearch", self.eps)
        check_count("TauSearch", "iterations", self.iterations)
        check_step("TauSearch", self.lr)
        if not 0 < self.first <= self.last:
            raise ConfigurationError(f"TauSearch: constants go from {self.first} to {self.last}; from low to high.")

    @property
    def name(self) -> str:
        """Such as "CW-search-50"."""
        return f"CW-search-{self.iterations}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, the iterations as steps, Adam's rate as step_size, and start."""
        settings: dict[str, str | float | int] = {"eps": self.eps, "norm": "linf", "steps": self.iterations}
        return settings | {"step_size": self.lr, "start": "Center()"}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return images that are misclassified within the ball, and the clean ones where the search failed."""
        found = batch.x.clone()
        with undisturbed(model, device=batch.x.device, seed=0), frozen(parameters_of(model)):
            search = _begin(batch, self.first)
            while len(search.at):
                wrong = self._descend(model, search)
                distance = (search.best - search.x).abs().flatten(1).amax(1)
                done = wrong & (distance <= self.eps)
                found[search.at[done]] = search.best[done]
                search.after(wrong, distance)
                # Ten per cent above the last constant: powers of ten are not exact.
                search.keep(~done & (search.tau >= self.eps / 2) & (search.constant <= 1.1 * self.last))
        return found

    def _descend(self, model: nn.Module, search: _Search) -> Bool[Tensor, " n"]:
        """Run Adam from the best images, leave there what it finds, and return which of that is misclassified."""
        w = torch.atanh((2 * search.best - 1) * _EDGE)
        mean, square = torch.zeros_like(w), torch.zeros_like(w)
        found, caught = search.best, torch.zeros_like(search.at, dtype=torch.bool)
        for iteration in range(1, self.iterations + 2):
            last = iteration > self.iterations
            w = w.detach().requires_grad_(not last)
            with torch.set_grad_enabled(not last):
                z = (1 + torch.tanh(w)) / 2
                lead = lead_of_the_others(check_logits(model, z, model(z)), search.y)
                excess = ((z - search.x).abs() - search.tau.view(-1, 1, 1, 1)).clamp_min(0).flatten(1).sum(1)
                loss = search.constant * (-lead).clamp_min(0) + excess
            here = (lead > 0) & ((excess == 0) | last)
            found = torch.where((here & ~caught).view(-1, 1, 1, 1), z.detach(), found)
            caught = caught | here
            if last:
                break
            (slope,) = torch.autograd.grad(loss.sum(), w)
            mean = _BETAS[0] * mean + (1 - _BETAS[0]) * slope
            square = _BETAS[1] * square + (1 - _BETAS[1]) * slope**2
            unbiased = (square / (1 - _BETAS[1] ** iteration)).sqrt() + _TINY
            w = w - self.lr * (mean / (1 - _BETAS[0] ** iteration)) / unbiased
        if not torch.isfinite(loss).all():
            raise NonFiniteError(f"{self.name}: the loss of an image is infinite or not a number.")
        search.best = found
        return caught


@final
@dataclass(eq=False)
class _Search:
    """The images that are still searched, each with its bound and constant."""

    at: Int[Tensor, " n"]
    x: Float[Tensor, "n c h w"]
    y: Int[Tensor, " n"]
    best: Float[Tensor, "n c h w"]
    tau: Float[Tensor, " n"]
    constant: Float[Tensor, " n"]

    def after(self, wrong: Bool[Tensor, " n"], distance: Float[Tensor, " n"]) -> None:
        """Lower the bound where the image is misclassified, raise the constant where it is not."""
        self.tau = torch.where(wrong, _SHRINK * torch.minimum(self.tau, distance), self.tau)
        self.constant = torch.where(wrong, self.constant, 10 * self.constant)

    def keep(self, which: Bool[Tensor, " n"]) -> None:
        """Forget all images but ``which``."""
        places = which.nonzero().squeeze(1)
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name)[places])


def _begin(batch: ImageBatch, constant: float) -> _Search:
    ones = torch.ones(len(batch.y), dtype=batch.x.dtype, device=batch.x.device)
    at = torch.arange(len(batch.y), device=batch.x.device)
    return _Search(at, batch.x, batch.y, batch.x.clone(), ones, constant * ones)
