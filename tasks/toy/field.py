"""The directions in which gradients push the players."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.task import Task


def gradient_field(
    task: Task[Any, Any], xs: Float64[Tensor, " columns"], ys: Float64[Tensor, " rows"], *, batch: Any = None
) -> tuple[Float64[np.ndarray, "rows columns"], Float64[np.ndarray, "rows columns"]]:
    r"""Return $(-\partial_x \ell, -\partial_y q)$ on a grid: minus each player's gradient of its own loss.

    It works for every task, general-sum ones too, whose leader is a single number and whose follower is as well. The
    leader is left where it was.

    Args:
        task: the task.
        xs: the leader's values.
        ys: the follower's values.
        batch: the batch on which the losses are taken; a game has none.

    Returns:
        The two components at each grid point, ``ys`` going down the rows.

    Raises:
        ConfigurationError: if the leader is not one number.
    """
    leader = task.leader
    if not isinstance(leader, nn.Parameter) or leader.numel() != 1:
        raise ConfigurationError(
            f"A vector field is drawn for a leader that is one nn.Parameter with one entry; "
            f"{type(task).__name__}'s is another."
        )
    before = leader.detach().clone()
    along_x, along_y = np.zeros((len(ys), len(xs))), np.zeros((len(ys), len(xs)))
    try:
        for column, x in enumerate(xs):
            leader.data.fill_(float(x))
            for row, y in enumerate(ys):
                z = torch.full_like(task.start(batch), float(y)).requires_grad_()
                with torch.enable_grad():
                    leader_loss, follower_loss = task.losses(batch, z)
                    (push_x,) = torch.autograd.grad(leader_loss, leader, retain_graph=True)
                    (push_y,) = torch.autograd.grad(follower_loss, z)
                along_x[row, column], along_y[row, column] = -push_x.item(), -push_y.item()
    finally:
        leader.data.copy_(before)
    return along_x, along_y
