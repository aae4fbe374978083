"""Small problems with exact answers, in float64, and the simplest rule that can learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import bilevel


class LinearRule(nn.Module):
    """update = a·gradient + b·z for each entry: the simplest learned rule, with everything known about it."""

    def __init__(self, a: float = -0.1, b: float = 0.0) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(b, dtype=torch.float64))

    def init(self, params: Any) -> Any:
        return ()

    def update(self, grads: Any, state: Any, *, params: Any = None, inplace: bool = False) -> tuple[Any, Any]:
        move = bilevel.tree.tree_map(lambda g, z: self.a * g + self.b * z, grads, params)
        return move, state


class Bilinear(bilevel.MinimaxTask[Any, Any]):
    """f(x, y) = xᵀMy, the follower living on: every play is a linear map of (x, y)."""

    def __init__(self, matrix: Tensor, x: Tensor, y: Tensor) -> None:
        super().__init__(nn.Parameter(x.clone()), lives_on=True)
        self.matrix, self.y = matrix, y

    def start(self, batch: Any) -> Tensor:
        return self.y

    def loss(self, batch: Any, z: Tensor) -> Tensor:
        return self.leader @ self.matrix @ z


class Tracking(bilevel.Task[Any, Any]):
    """The follower tracks Aθ, q = ½|z - Aθ|², and the leader's loss is ℓ = zᵀBθ + ½|z|²; the follower starts anew.

    With gradient steps of size h from c: z_K = Aθ + (1-h)^K (c - Aθ). The direct hypergradient is Bᵀz_K.
    """

    def __init__(self, seed: int = 0, size: int = 3) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.a, self.b = torch.randn(2, size, size, generator=draw, dtype=torch.float64)
        self.c, theta = torch.randn(2, size, generator=draw, dtype=torch.float64)
        super().__init__(nn.Parameter(theta.clone()))  # a storage of its own: it is moved in place

    def start(self, batch: Any) -> Tensor:
        return self.c

    def leader_loss(self, batch: Any, z: Tensor) -> Tensor:
        return z @ self.b @ self.leader + 0.5 * z @ z

    def follower_loss(self, batch: Any, z: Tensor) -> Tensor:
        return 0.5 * (z - self.a @ self.leader).square().sum()

    def after(self, steps: int, step_size: float) -> Tensor:
        """Return z_K in closed form."""
        target = (self.a @ self.leader).detach()
        return target + (1 - step_size) ** steps * (self.c - target)


class Saddle(bilevel.MinimaxTask[Any, Any]):
    """ℓ = θᵀMz - ½|z|² + ½|θ|², the follower starting anew at c: zero-sum, with the answer Mᵀθ."""

    def __init__(self, seed: int = 0, size: int = 3) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.m = torch.randn(size, size, generator=draw, dtype=torch.float64)
        self.c, theta = torch.randn(2, size, generator=draw, dtype=torch.float64)
        super().__init__(nn.Parameter(theta.clone()))  # a storage of its own: it is moved in place

    def start(self, batch: Any) -> Tensor:
        return self.c

    def loss(self, batch: Any, z: Tensor) -> Tensor:
        return self.leader @ self.m @ z - 0.5 * z @ z + 0.5 * self.leader @ self.leader


def sgd(parameters: Any, lr: float = 1.0) -> torch.optim.SGD:
    """Return gradient descent; of rate 1 it moves by minus the gradient."""
    return torch.optim.SGD([parameters] if isinstance(parameters, Tensor) else list(parameters), lr=lr)
