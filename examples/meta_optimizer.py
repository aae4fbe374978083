"""Learn an optimizer that makes networks robust while it sees clean images only, and use it as a torch optimizer.

Run it with ``python examples/meta_optimizer.py`` (about two minutes; it needs the extra ``vision``). The follower's
answer are the weights z of a small network on scikit-learn's digits, which lives on for an episode of 60 updates and
then begins anew at random. Its rule, a coordinate-wise LSTM with the parameters φ, is shown the gradient of one loss
and judged by another:

    z_{t+1} = z_t + g_φ(∇ loss on clean images)          min over φ   Σ_t loss on clean and on adversarial images

What is learned is saved as a file and then trains new networks, on images that it never saw, as any torch optimizer.
"""

import tempfile
from pathlib import Path

import torch

import bilevel
from bilevel.learned import LSTM, Direction, Iterate, LogSign, load, save
from tasks.meta.attack import SignAttack
from tasks.meta.curriculum import Curriculum, Plan
from tasks.meta.data import load_halves
from tasks.meta.guard import StopExplosions
from tasks.meta.mixture import CLEAN, Mixture
from tasks.meta.networks import Perceptron
from tasks.meta.problems import Classification
from tasks.meta.task import JudgedOverSteps, Training
from tasks.meta.transfer import Trial


def main(windows: int = 600, hidden: int = 20) -> dict[str, dict[str, float]]:
    """Train the rule, and return what networks became by it and by Adam: losses and accuracies on test images."""
    torch.manual_seed(0)
    data = load_halves("digits", seed=0)
    attack = SignAttack(eps=0.1)  # FGSM
    problem = Classification(lambda: Perceptron(64, hidden=(20,)), batch_size=64)

    # The attack grows from nothing: at its full radius at once, a rule first learns to make all outputs alike.
    plan = Plan(windows, shortest=3, longest=3, ramp=0.5)
    task = Training(problem, shown=CLEAN, judged=Mixture(0.5, attack), episode=plan.episode(0), share=plan.share(0))
    rule = LSTM(hidden, inputs=(Direction(LogSign(10.0)), Iterate(scale=10.0)), zero_last=True)
    solver = bilevel.Solver(
        task,
        rule,
        steps=20,  # φ moves after so many updates of the network
        rule_optimizer=torch.optim.Adam(rule.parameters(), lr=3e-3),
        rule_loss=JudgedOverSteps(),
        play=StopExplosions(limit=100.0),
    )
    curriculum = Curriculum(solver, plan)
    bilevel.fit(solver, [data.meta] * windows, epochs=1, after_step=[curriculum], title="learning to train")

    with tempfile.TemporaryDirectory() as folder:
        save(rule, Path(folder) / "rule.safetensors")
        trained = load(Path(folder) / "rule.safetensors")

    trial = Trial(problem, data.transfer, data.test, CLEAN, attack, steps=60, every=60)
    optimizers = {"the rule": trained.as_optimizer}
    optimizers |= {f"Adam, {rate:g}": _adam(rate) for rate in (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)}
    found = {}
    for name, make in optimizers.items():
        ends = [trial.run(make, seed).rows[-1] for seed in (1, 2, 3)]
        found[name] = {what: sum(end[what] for end in ends) / len(ends) for what in ends[0]}
        print(f"{name:12} clean {found[name]['clean']:.3f}  adversarial {found[name]['robust']:.3f}  ", end="")
        print(f"adversarial loss {found[name]['adversarial_loss']:.3f}")
    return found


def _adam(rate: float):
    return lambda network: torch.optim.Adam(network.parameters(), lr=rate)


if __name__ == "__main__":
    main()
