"""Play 1,000 steps of every play and print for each of them whether what is alive stays the same.

`test_play_costs` runs this file in a process of its own: there the shape annotations are not executed.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import torch
import torchopt

sys.path.insert(0, str(Path(__file__).parents[1]))

from alive import alive
from play_games import BilinearGame
from plays_by_hand import PLAYS

from bilevel import Solver


def main():
    torch.set_num_threads(1)
    gc.freeze()  # what the imports made is not looked through again and again
    for play in {type(play): play for play, _ in reversed(PLAYS.values())}.values():
        game = BilinearGame(1)
        solver = Solver(game, torchopt.sgd(0.01), leader_optimizer=torch.optim.SGD([game.leader], lr=0.01), play=play)
        counts = []
        for step in range(1, 1001):
            solver.step(None)
            if step in (40, 1000):
                counts.append(alive())
        print("flat" if counts[0] == counts[1] and counts[0][1] == 0 else f"{type(play).__name__}:{counts}")  # noqa: T201


if __name__ == "__main__":
    main()
