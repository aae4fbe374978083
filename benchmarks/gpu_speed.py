"""Images a second of every training of WRN-34-10, its peak memory, and its share of the device's arithmetic peak.

    python benchmarks/gpu_speed.py --data-dir FOLDER [--batch-sizes 128 512] [--precisions bf16-mixed 32-true]

Steps take turns in one process; all trainings of a batch size are in memory together. The peak is that of square
matrix products of the same precision, measured first. Operations are counted, not guessed. On a CPU it runs too:
--depth 10 --width 1 --rounds 3 shows that it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import interleaved
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tasks.reproduce.defences import DEFENCES
from tasks.vision.build import build
from tasks.vision.config import DROConfig
from tasks.vision.data import ImageBatch, Split
from tasks.vision.datasets import load
from tasks.vision.presets import PAPER
from tasks.vision.train import device_of

ROWS: dict[str, dict[str, Any]] = {
    "Plain": DEFENCES["Plain"],
    "PGM-10": DEFENCES["PGM Net"],
    "Naive L2L, shared": DEFENCES["Naive L2L"] | {"play": "simultaneous"},
    "Naive L2L, alternating": DEFENCES["Naive L2L"] | {"play": "leader-first"},
    "Grad L2L, shared": DEFENCES["Grad L2L"] | {"play": "simultaneous"},
    "Grad L2L, alternating": DEFENCES["Grad L2L"] | {"play": "leader-first"},
    "2-Step L2L, shared": DEFENCES["2-Step L2L"] | {"play": "simultaneous"},
    "2-Step L2L, alternating": DEFENCES["2-Step L2L"] | {"play": "leader-first"},
}
"""The trainings; "shared" has one backward pass for both players, "alternating" makes the images anew for each."""
IMAGES = 50_000
"""Images of an epoch."""


class Operations(TorchDispatchMode):
    """Counts floating-point operations within the context; torch's own counter follows modules, and cannot here."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.total += count(*args, **kwargs, out_val=out)
        return out


def matrix_peak(device: torch.device, precision: str) -> float:
    """Return the operations a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision.startswith("bf16") else torch.float32
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    seconds = interleaved({"product": lambda: a @ b}, rounds=20)["product"]
    return 2 * size**3 / statistics.median(seconds)


def step_of(config: DROConfig, split: Split, batch: ImageBatch) -> Callable[[], object]:
    """Return a step of a training on a fixed batch."""
    training = build(config, split=split, device=batch.x.device)
    half = config.precision.startswith("bf16")

    def step() -> None:
        with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            training.solver.step(batch)

    return step


def memory_and_operations(step: Callable[[], object], device: torch.device) -> tuple[float, int]:
    """Return the peak of a step in bytes, beside what is there already, and its operations."""
    step()
    before = 0
    if device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    step()
    peak = torch.cuda.max_memory_allocated() - before if device.type == "cuda" else float("nan")
    with Operations() as counter:
        step()
    return peak, counter.total


def measure(chosen: argparse.Namespace, precision: str, batch_size: int, split: Split) -> list[dict[str, Any]]:
    base = replace(
        PAPER, data="cifar10", data_dir=chosen.data_dir, precision=precision, batch_size=batch_size,
        depth=chosen.depth, width=chosen.width,
    )  # fmt: skip
    device = device_of(base)
    peak = matrix_peak(device, precision)
    batch = split.to(device).train.batch(slice(0, batch_size))
    configs = {name: replace(base, **changes) for name, changes in ROWS.items()}
    steps, counted = {}, {}
    for name, config in configs.items():
        steps[name] = step_of(config, split, batch)
        counted[name] = memory_and_operations(steps[name], device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"\nWRN-{chosen.depth}-{chosen.width}, batch {batch_size}, {precision}, {where}; n = {chosen.rounds}")
    print(f"matrix products reach {peak / 1e12:.1f} Tflop/s")
    records = []
    for name, seconds in interleaved(steps, rounds=chosen.rounds, warmup=2).items():
        low, middle, high = statistics.quantiles(seconds, n=4)
        memory, operations = counted[name]
        record = {
            "method": name, "batch_size": batch_size, "precision": precision, "seconds_a_step": middle,
            "lower_quartile": low, "upper_quartile": high, "images_a_second": batch_size / middle,
            "seconds_an_epoch": IMAGES / batch_size * middle, "peak_memory_gb": memory / 1e9,
            "share_of_peak": operations / middle / peak, "operations": operations,
        }  # fmt: skip
        records.append(record)
        print(
            f"{name:26s}{1e3 * middle:9.1f} ms ({1e3 * low:.1f} to {1e3 * high:.1f})"
            f"{batch_size / middle:9.0f} images/s{record['seconds_an_epoch']:9.1f} s an epoch"
            f"{memory / 1e9:8.2f} GB{record['share_of_peak']:7.2f} of peak",
            flush=True,
        )
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--precisions", nargs="+", default=["bf16-mixed", "32-true"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--depth", type=int, default=34)
    parser.add_argument("--width", type=int, default=10)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    begin, split, records = time.perf_counter(), load("cifar10", 0, data_dir=chosen.data_dir), []
    print(f"Loading the data took {time.perf_counter() - begin:.1f} s.")
    for precision in chosen.precisions:
        for batch_size in chosen.batch_sizes:
            records += measure(chosen, precision, batch_size, split)
            if chosen.out:
                chosen.out.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
