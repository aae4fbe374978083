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


class Quadratic(bilevel.Task[Any, Any]):
    """q = ½zᵀHz - zᵀ(Aθ + c) and ℓ = ½zᵀPz + zᵀBθ + ½θᵀQθ - tᵀz, H positive definite with known eigenvectors.

    The follower has its own dimension m, the leader n. With gradient steps of size h from 0 and R = (I - hH)^K:
    z_K = (I - R) H⁻¹ (Aθ + c) and dz_K/dθ = (I - R) H⁻¹ A.
    """

    def __init__(self, seed: int = 0, n: int = 3, m: int = 4, lowest: float = 0.5, highest: float = 3.0) -> None:
        draw = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw, dtype=torch.float64)

        self.basis = torch.linalg.qr(normal(m, m)).Q
        self.curvatures = lowest + (highest - lowest) * torch.rand(m, generator=draw, dtype=torch.float64)
        self.h = self.basis @ torch.diag(self.curvatures) @ self.basis.T
        self.a, self.b, self.c, self.t = normal(m, n), normal(m, n), normal(m), normal(m)
        p, q = normal(m, m), normal(n, n)
        self.p, self.q = p @ p.T, q @ q.T
        super().__init__(nn.Parameter(normal(n)))

    def start(self, batch: Any) -> Tensor:
        return torch.zeros_like(self.c)

    def follower_loss(self, batch: Any, z: Tensor) -> Tensor:
        return 0.5 * z @ self.h @ z - z @ (self.a @ self.leader + self.c)

    def leader_loss(self, batch: Any, z: Tensor) -> Tensor:
        x = self.leader
        return 0.5 * z @ self.p @ z + z @ self.b @ x + 0.5 * x @ self.q @ x - self.t @ z

    def contraction(self, steps: int, step_size: float) -> Tensor:
        """Return R."""
        eye = torch.eye(len(self.c), dtype=torch.float64)
        return torch.linalg.matrix_power(eye - step_size * self.h, steps)

    @property
    def solution(self) -> Tensor:
        """z*(θ)."""
        return torch.linalg.solve(self.h, self.a @ self.leader.detach() + self.c)

    def after(self, steps: int, step_size: float) -> Tensor:
        """Return z_K."""
        return self.solution - self.contraction(steps, step_size) @ self.solution

    def slope(self, steps: int, step_size: float) -> Tensor:
        """Return dz_K/dθ, a row for each coordinate of z."""
        full = torch.linalg.solve(self.h, self.a)
        return full - self.contraction(steps, step_size) @ full

    def slopes_at(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ∂ℓ/∂θ and ∂ℓ/∂z."""
        x = self.leader.detach()
        return self.b.T @ z + self.q @ x, self.p @ z + self.b @ x - self.t

    def hypergradient(self, z: Tensor, slope: Tensor) -> Tensor:
        """Return the total derivative at ``z`` for a follower of derivative ``slope``."""
        direct, through = self.slopes_at(z)
        return direct + slope.T @ through

    @property
    def exact(self) -> Tensor:
        """The hypergradient at the solution."""
        return self.hypergradient(self.solution, torch.linalg.solve(self.h, self.a))


class Remembering(Quadratic):
    """Keeps what it is told of each step."""

    remembers = True
    seen: Any = None

    def remember(self, batch: Any, answer: Any, gradient: Any) -> None:
        self.seen = answer, gradient


class Ridge(bilevel.Task[Any, Any]):
    """Ridge regression with the leader's log weight: q = ½|Xz - y|² + ½e^θ|z|², ℓ = ½|Vz - w|², θ a single number."""

    def __init__(self, seed: int = 0, n: int = 8, d: int = 3) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.x, self.v = torch.randn(2, n, d, generator=draw, dtype=torch.float64)
        self.y, self.w = torch.randn(2, n, generator=draw, dtype=torch.float64)
        super().__init__(nn.Parameter(torch.tensor(0.3, dtype=torch.float64)))

    def start(self, batch: Any) -> Tensor:
        return torch.zeros(self.x.shape[1], dtype=torch.float64)

    def follower_loss(self, batch: Any, z: Tensor) -> Tensor:
        return 0.5 * (self.x @ z - self.y).square().sum() + 0.5 * self.leader.exp() * z.square().sum()

    def leader_loss(self, batch: Any, z: Tensor) -> Tensor:
        return 0.5 * (self.v @ z - self.w).square().sum()

    @property
    def _h(self) -> Tensor:
        return self.x.T @ self.x + self.leader.detach().exp() * torch.eye(self.x.shape[1], dtype=torch.float64)

    @property
    def solution(self) -> Tensor:
        return torch.linalg.solve(self._h, self.x.T @ self.y)

    @property
    def exact(self) -> Tensor:
        z = self.solution
        slope = -self.leader.detach().exp() * torch.linalg.solve(self._h, z)
        return slope @ self.v.T @ (self.v @ z - self.w)


class Exponential(bilevel.Task[Any, Any]):
    """A follower that is not quadratic: q = Σ exp(z - Aθ) - (z - Aθ), with z* = Aθ and Hessian I there; ℓ = Σ sin z."""

    def __init__(self, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.a = torch.randn(3, 2, generator=draw, dtype=torch.float64)
        super().__init__(nn.Parameter(torch.tensor([0.4, -0.3], dtype=torch.float64)))

    def start(self, batch: Any) -> Tensor:
        return torch.zeros(3, dtype=torch.float64)

    def follower_loss(self, batch: Any, z: Tensor) -> Tensor:
        gap = z - self.a @ self.leader
        return (gap.exp() - gap).sum()

    def leader_loss(self, batch: Any, z: Tensor) -> Tensor:
        return z.sin().sum()

    @property
    def solution(self) -> Tensor:
        return self.a @ self.leader.detach()

    @property
    def exact(self) -> Tensor:
        return self.a.T @ self.solution.cos()


class Boxed(bilevel.Task[Any, Any]):
    """A constrained follower: the point of [-1, 1]³ nearest to Aθ, two of its coordinates free; ℓ = ½|z - t|²."""

    def __init__(self) -> None:
        self.a = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [3.0, 3.0]], dtype=torch.float64)
        self.t = torch.tensor([0.2, -0.1, 0.7], dtype=torch.float64)
        super().__init__(nn.Parameter(torch.tensor([0.6, 0.3], dtype=torch.float64)))

    def start(self, batch: Any) -> Tensor:
        return torch.zeros(3, dtype=torch.float64)

    def project(self, batch: Any, z: Tensor) -> Tensor:
        return bilevel.box(z, low=-1.0, high=1.0)

    def follower_loss(self, batch: Any, z: Tensor) -> Tensor:
        return 0.5 * (z - self.a @ self.leader).square().sum()

    def leader_loss(self, batch: Any, z: Tensor) -> Tensor:
        return 0.5 * (z - self.t).square().sum()

    @property
    def solution(self) -> Tensor:
        return (self.a @ self.leader.detach()).clamp(-1, 1)

    @property
    def exact(self) -> Tensor:
        free = (self.a @ self.leader.detach()).abs() < 1
        return self.a.T @ (free * (self.solution - self.t))


class Split(bilevel.Task[Any, Any]):
    """Another task with its vector z cut into a dict of three pieces."""

    def __init__(self, task: Any) -> None:
        self.task = task
        super().__init__(task.leader)

    def cut(self, z: Tensor) -> dict[str, Any]:
        return {"first": z[:1].reshape(1, 1), "rest": (z[1:2], z[2:])}

    def joined(self, z: dict[str, Any]) -> Tensor:
        return torch.cat([z["first"].reshape(-1), *z["rest"]])

    def start(self, batch: Any) -> Any:
        return self.cut(self.task.start(batch))

    def project(self, batch: Any, z: Any) -> Any:
        return self.cut(self.task.project(batch, self.joined(z)))

    def leader_loss(self, batch: Any, z: Any) -> Tensor:
        return self.task.leader_loss(batch, self.joined(z))

    def follower_loss(self, batch: Any, z: Any) -> Tensor:
        return self.task.follower_loss(batch, self.joined(z))


def hypergradient_of(task: Any, method: bilevel.Hypergradient, rule: Any, steps: int) -> Tensor:
    """Return what a leader of step size 1 moves by, turned round: the hypergradient."""
    before = task.leader.detach().clone()
    bilevel.Solver(task, rule, steps=steps, leader_optimizer=sgd(task.leader), hypergradient=method).step(None)
    found = before - task.leader.detach()
    with torch.no_grad():
        task.leader.copy_(before)
    return found
