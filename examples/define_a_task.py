"""A task of your own, and every axis swapped by one argument: regression that withstands perturbed inputs.

Run it with ``python examples/define_a_task.py``. A linear model's error under the worst perturbation of each input
within ±radius has a closed form, mean (|x·w + b - y| + radius |w|₁)², so that what each training achieves is known.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torchopt
from torch import Tensor, nn
from torch.nn import functional

import bilevel

RADIUS, SIZE = 0.3, 8


class Batch(NamedTuple):
    """Inputs and targets."""

    x: Tensor  # (n, d)
    y: Tensor  # (n, 1)


class RobustRegression(bilevel.MinimaxTask[nn.Linear, Batch]):
    """The leader fits a model, the follower perturbs the inputs within ±radius."""

    def __init__(self, model: nn.Linear, radius: float) -> None:
        super().__init__(leader=model)
        self.radius = radius

    def start(self, batch: Batch) -> Tensor:
        """Where the follower begins on this batch."""
        return batch.x

    def project(self, batch: Batch, z: Tensor) -> Tensor:
        """The nearest feasible point."""
        return bilevel.linf_ball(z, center=batch.x, radius=self.radius)

    def loss(self, batch: Batch, z: Tensor) -> Tensor:
        """What the leader minimises and the follower maximises."""
        return functional.mse_loss(self.leader(z), batch.y)


def draw(count: int, seed: int) -> Batch:
    """Half of the inputs matter much, half a little: a robust model leaves the latter alone."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, SIZE, generator=generator)
    weights = torch.tensor([1.0, 0.2]).repeat_interleave(SIZE // 2)
    return Batch(x, (x @ weights)[:, None] + 0.1 * torch.randn(count, 1, generator=generator))


def worst_error(model: nn.Linear, batch: Batch) -> float:
    """The mean squared error under the worst perturbation of each input."""
    with torch.no_grad():
        worst = (model(batch.x) - batch.y).abs() + RADIUS * model.weight.abs().sum()
        return float(worst.square().mean())


def train(make_solver: Callable[[RobustRegression, torch.optim.Optimizer], bilevel.Solver[Batch]]) -> float:
    """Train a new model and return its worst-case error on inputs that it has not seen."""
    torch.manual_seed(0)
    model = nn.Linear(SIZE, 1)
    solver = make_solver(RobustRegression(model, RADIUS), torch.optim.SGD(model.parameters(), lr=0.05))
    data = draw(512, seed=1)
    batches = [Batch(data.x[i : i + 64], data.y[i : i + 64]) for i in range(0, 512, 64)]
    bilevel.fit(solver, batches, epochs=30, progress=False)
    return worst_error(model, draw(2000, seed=2))


def learner(task: RobustRegression, optimizer: torch.optim.Optimizer) -> bilevel.Solver[Batch]:
    """A perceptron moves each input twice; it learns while the model trains.

    It sees the input and the gradient's direction: the better the model, the smaller the gradient's size.
    """
    learned = bilevel.learned
    rule = learned.MLP(SIZE, inputs=(learned.Iterate(), learned.Direction(learned.SampleRMS())))
    return bilevel.Solver(
        task,
        rule,
        steps=2,
        leader_optimizer=optimizer,
        rule_optimizer=torch.optim.Adam(rule.parameters(), lr=1e-2),
    )


def main() -> dict[str, float]:
    """Train against several followers and print the worst-case errors."""
    rules = bilevel.rules
    errors = {
        "no perturbation": train(lambda t, o: bilevel.Solver(t, rules.Stay(), leader_optimizer=o)),
        "one sign step": train(lambda t, o: bilevel.Solver(t, rules.SignGradient(RADIUS), leader_optimizer=o)),
        "ten sign steps": train(lambda t, o: bilevel.Solver(t, rules.SignGradient(0.1), steps=10, leader_optimizer=o)),
        "ten Adam steps": train(lambda t, o: bilevel.Solver(t, torchopt.adam(0.1), steps=10, leader_optimizer=o)),
        "a learned rule": train(learner),
    }
    for name, error in errors.items():
        print(f"trained against {name:>16}: worst-case error {error:.3f}")
    return errors


if __name__ == "__main__":
    main()
