"""Gradient ascent that sets its own steps: the algorithm of APGD, for any loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeAlias, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bilevel.errors import NonFiniteError
from bilevel.leader import frozen, parameters_of
from bilevel.rules.sign import visible_sign
from bilevel.starts import Start
from tasks.vision.attacks.predict import check_logits
from tasks.vision.data import ImageBatch
from tasks.vision.threat import Threat

AimedLoss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The loss of each sample, (n), of logits (n, k), labels (n) and the classes (n) that are aimed at."""

INERTIA = 0.25
"""How much of the last move is added to the next, 1 - α in the paper."""

ENOUGH = 0.75
"""The share ρ of steps between two looks that must raise the loss, else the step is halved."""


@final
@dataclass(eq=False)
class _Climb:
    """What is known of each sample that still stands; the first dimension counts them."""

    at: Int[Tensor, " n"]
    x: Float[Tensor, "n c h w"]
    y: Int[Tensor, " n"]
    aim: Int[Tensor, " n"]
    z: Float[Tensor, "n c h w"]
    last: Float[Tensor, "n c h w"]
    slope: Float[Tensor, "n c h w"]
    best: Float[Tensor, "n c h w"]
    best_slope: Float[Tensor, "n c h w"]
    best_loss: Float[Tensor, " n"]
    last_loss: Float[Tensor, " n"]
    step: Float[Tensor, "n 1 1 1"]
    rises: Int[Tensor, " n"]
    halved: Bool[Tensor, " n"]
    best_at_look: Float[Tensor, " n"]
    fooled: Bool[Tensor, " n"]
    answer: Float[Tensor, "n c h w"]

    def keep(self, which: Bool[Tensor, " n"]) -> None:
        """Forget all samples but ``which``."""
        places = which.nonzero().squeeze(1)
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name)[places])


def climb(
    model: nn.Module,
    batch: ImageBatch,
    aim: Int[Tensor, " n"],
    loss: AimedLoss,
    *,
    eps: float,
    steps: int,
    start: Start,
) -> Float[Tensor, "n c h w"]:
    r"""Raise ``loss`` in the ball by sign steps with inertia, which are halved where they no longer help.

    $$u = \Pi(z_t + \eta_t\, \mathrm{sign}\, \nabla \ell(z_t)), \qquad
    z_{t+1} = \Pi\big(z_t + \alpha (u - z_t) + (1 - \alpha) (z_t - z_{t-1})\big)$$

    η begins at 2ε. At some times, which come closer together, the η of a sample is halved, and it goes back to its best
    point, if fewer than ρ of the steps since the last time have raised its loss, or if neither η nor the best loss
    has changed since. A sample that is misclassified is done.

    The number of samples still standing, for which the device is waited for, is asked at those times and after 0, 1, 2,
    4, ... steps only. A sample costs ``steps + 1`` forward and ``steps`` backward passes at most.

    Args:
        model: the classifier, in evaluation mode.
        batch: the clean images and labels.
        aim: the classes that the loss aims at.
        loss: ℓ, to be raised.
        eps: the radius ε.
        steps: how many steps.
        start: where it begins.

    Returns:
        For each sample the first misclassified iterate; if there is none, the one of the highest loss.

    Raises:
        NonFiniteError: if a loss is not finite.
        TaskError: if the model's output is not (n, classes).

    Source: Croce and Hein 2020, section 3, Algorithm 1.
    """
    threat = Threat(eps, start)
    found = batch.x.clone()
    looks = look_times(steps)
    marks = {0, *looks, *(2**power for power in range(steps.bit_length()))}
    with frozen(parameters_of(model)):
        state = _begin(model, batch, aim, loss, threat)
        for done in range(steps + 1):
            if done:
                _move(model, state, loss, threat, first=done == 1, last=done == steps)
            if done in looks:
                _look(state, looks[done])
            if done in marks or done == steps:
                _drop(state, found, last=done == steps)
                if not len(state.at):
                    break
    return found


def look_times(steps: int) -> dict[int, int]:
    """Return after which steps the step size is looked at, each with the number of steps since the last look.

    After 22 % of them, then at distances that shrink by 3 % each time, down to 6 %.
    """
    distance, shrink, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    times, now = {}, distance
    while now <= steps:
        times[now] = distance
        distance = max(distance - shrink, least)
        now += distance
    return times


def _begin(model: nn.Module, batch: ImageBatch, aim: Tensor, loss: AimedLoss, threat: Threat) -> _Climb:
    x, y, n = batch.x, batch.y, len(batch.y)
    z = threat.project(x, threat.start(x))
    wrong, losses, slope = _slope(model, z, y, aim, loss)
    return _Climb(
        at=torch.arange(n, device=x.device),
        x=x, y=y, aim=aim, z=z, last=z, slope=slope, best=z, best_slope=slope, best_loss=losses, last_loss=losses,
        step=torch.full((n, 1, 1, 1), 2 * threat.eps, dtype=x.dtype, device=x.device),
        rises=torch.zeros(n, dtype=torch.int64, device=x.device),
        halved=torch.ones(n, dtype=torch.bool, device=x.device),
        best_at_look=losses, fooled=wrong, answer=z,
    )  # fmt: skip


def _slope(
    model: nn.Module, z: Tensor, y: Tensor, aim: Tensor, loss: AimedLoss, *, gradient: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return whether each sample is misclassified, its loss, and (if asked for) the loss's gradient."""
    z = z.detach().requires_grad_(gradient)
    with torch.set_grad_enabled(gradient):
        logits = check_logits(model, z, model(z))
        losses = loss(logits, y, aim)
    slope = torch.autograd.grad(losses.sum(), z)[0] if gradient else torch.zeros_like(z)
    return logits.detach().argmax(1) != y, losses.detach(), slope


def _move(model: nn.Module, state: _Climb, loss: AimedLoss, threat: Threat, *, first: bool, last: bool) -> None:
    """Take a step, and note what came of it."""
    inertia = 0.0 if first else INERTIA
    ahead = threat.project(state.x, state.z + state.step * visible_sign(state.slope))
    move = (1 - inertia) * (ahead - state.z) + inertia * (state.z - state.last)
    state.last, state.z = state.z, threat.project(state.x, state.z + move)
    wrong, losses, state.slope = _slope(model, state.z, state.y, state.aim, loss, gradient=not last)
    state.rises = state.rises + (losses > state.last_loss)
    better = losses > state.best_loss
    state.best = _where(better, state.z, state.best)
    state.best_slope = _where(better, state.slope, state.best_slope)
    # Not by the comparison, in which NaN would be lost.
    state.best_loss, state.last_loss = torch.maximum(losses, state.best_loss), losses
    state.answer = _where(state.fooled, state.answer, _where(wrong, state.z, state.best))
    state.fooled = state.fooled | wrong


def _look(state: _Climb, since: int) -> None:
    """Halve the steps that no longer help, and go back to the best point there."""
    stuck = ~state.halved & (state.best_at_look >= state.best_loss)
    state.halved = (state.rises < ENOUGH * since) | stuck
    state.best_at_look = state.best_loss
    state.rises = torch.zeros_like(state.rises)
    state.step = torch.where(state.halved.view(-1, 1, 1, 1), state.step / 2, state.step)
    state.z = _where(state.halved, state.best, state.z)
    state.slope = _where(state.halved, state.best_slope, state.slope)


def _drop(state: _Climb, found: Tensor, *, last: bool) -> None:
    """Put aside the samples that are done."""
    if not torch.isfinite(state.best_loss).all():
        raise NonFiniteError("APGD: the loss of an image is infinite or not a number; the classifier's output is not.")
    done = torch.ones_like(state.fooled) if last else state.fooled
    found[state.at[done]] = state.answer[done]
    state.keep(~done)


def _where(which: Bool[Tensor, " n"], one: Tensor, other: Tensor) -> Tensor:
    return torch.where(which.view(-1, 1, 1, 1), one, other)
