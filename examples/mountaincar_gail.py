"""Imitate an expert on MountainCar, by a hand-written and by a learned update of the discriminator.

Run it with ``python examples/mountaincar_gail.py`` (half a minute; it needs the extra ``rl``). Each training is a
configuration, and ``bilevel train gail --preset mountaincar`` makes the same runs. The demonstrations come with the
package.
"""

from dataclasses import replace

from tasks.gail.demonstrations import shipped
from tasks.gail.evaluation import returns_of
from tasks.gail.presets import MOUNTAINCAR
from tasks.gail.train import train


def main(iterations: int = 60, steps: int = 2048, episodes: int = 20) -> dict[str, float]:
    """Return the mean return of the expert, of a random policy, and of both imitators, in fresh episodes."""
    settings = replace(MOUNTAINCAR, iterations=iterations, steps=steps, evaluation_episodes=episodes)
    found = {
        "expert": float(shipped(settings.env).returns.mean()),
        "random policy": float(returns_of(None, settings).mean()),
    }
    for method in ("gail", "l2l"):
        trained = train(replace(settings, method=method))
        found[method] = float(returns_of(trained.policy, trained.config).mean())
    for who, value in found.items():
        print(f"{who:15s} {value:7.1f}")
    return found


if __name__ == "__main__":
    main()
