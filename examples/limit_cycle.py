"""On min over x, max over y of xy, gradient steps go round for ever; a follower that learns to answer arrives.

Run it with ``python examples/limit_cycle.py``. Nothing is trained beforehand: the rule learns while the game is played.
"""

import math

import torch
import torchopt

import bilevel

STEP = 0.05


class Xy(bilevel.MinimaxTask[torch.nn.Parameter, None]):
    """The leader holds x, the follower answers y; there is no data, so every batch is None."""

    def __init__(self, *, lives_on: bool) -> None:
        super().__init__(leader=torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64)), lives_on=lives_on)

    def start(self, batch: None) -> torch.Tensor:
        """Return where the follower begins."""
        return torch.zeros((), dtype=torch.float64)

    def loss(self, batch: None, z: torch.Tensor) -> torch.Tensor:
        """Return what the leader minimises and the follower maximises."""
        return self.leader * z


def gradient_play(order: bilevel.Play) -> bilevel.Solver[None]:
    """Both players take gradient steps; the follower goes on from its last answer."""
    task = Xy(lives_on=True)
    leader_optimizer = torch.optim.SGD([task.leader], lr=STEP)
    return bilevel.Solver(task, torchopt.sgd(lr=STEP), leader_optimizer=leader_optimizer, play=order)


def learned_play(seed: int = 0) -> bilevel.Solver[None]:
    """The follower's answer to x is a perceptron's, made anew at each step; its weights are trained as they go."""
    torch.manual_seed(seed)
    task = Xy(lives_on=False)
    rule = bilevel.learned.MLP(size=1).double()
    return bilevel.Solver(
        task,
        rule,
        leader_optimizer=torch.optim.SGD([task.leader], lr=STEP),
        rule_optimizer=torch.optim.Adagrad(rule.parameters(), lr=0.6 * math.sqrt(STEP)),
        play=bilevel.FollowerFirst(),
    )


def distance(solver: bilevel.Solver[None], steps: int) -> float:
    """Play so many steps and return how far (x, y) is from the equilibrium (0, 0)."""
    for _ in range(steps):
        solver.step(None)
    x = solver.task.leader.detach()
    y = solver.answer_to(None).answer if solver.answer is None else solver.answer
    return math.hypot(float(x), float(y))


def main(steps: int = 500) -> dict[str, float]:
    """Play in four ways from (1, 0) and print where each ends."""
    solvers = {
        "simultaneous": gradient_play(bilevel.Simultaneous()),  # spirals outwards
        "leader first": gradient_play(bilevel.LeaderFirst()),  # runs round an ellipse
        "follower first": gradient_play(bilevel.FollowerFirst()),  # runs round another
        "learned": learned_play(),  # arrives
    }
    distances = {name: distance(solver, steps) for name, solver in solvers.items()}
    for name, length in distances.items():
        print(f"{name:>14}: |(x, y)| = {length:.1e} after {steps} steps")
    return distances


if __name__ == "__main__":
    main()
