"""What each choice gives on the digits' *validation* images: the study behind the default preset.

    python benchmarks/digits_variants.py [--seeds 100 101 102] [--only NAME ...] [--workers 2] [--out FILE]

Robust accuracy is the worst of PGM-100 and CW-100 at eps = 0.2. Results are kept in FILE, a JSON line each, so that a
second call completes a first; the table is printed at the end. The test images are not touched.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import torch
import tyro

from tasks.vision.assess import attacks_for
from tasks.vision.config import AITConfig, DROConfig, VisionConfig
from tasks.vision.evaluation import evaluate
from tasks.vision.train import train

BASE = DROConfig(reach=1.25, warmup=0.1)
ALONE = {"attacker_base": 0.0, "attacker_scale": 1.0}
RS = {"pgm_start": "uniform", "pgm_step": 0.75}
AIT = AITConfig(reach=1.25, warmup=0.1)
TWO, GRAD, WARM, TEACHER = "2-step-l2l", "grad-l2l", "warm-l2l", "teacher-l2l"


def _pgm(steps: int, **settings: object) -> DROConfig:
    return replace(BASE, method="pgm", pgm_steps=steps, **({**RS, "pgm_step": 0.25} if steps == 10 else RS), **settings)


def _of(method: str, **settings: object) -> DROConfig:
    return replace(BASE, method=method, **settings)


VARIANTS: dict[str, VisionConfig] = {
    "fgsm": _of("fgsm"),
    "fgsm-rs": _of("fgsm-rs"),
    "fgsm-rs, reach 1": _of("fgsm-rs", reach=1.0),
    "fgsm-rs, batch norm train": _of("fgsm-rs", pgm_norm="train"),
    "warm-fgsm": _of("warm-fgsm"),
    "warm-fgsm, reach 1": _of("warm-fgsm", reach=1.0),
    "pgm-2": _pgm(2),
    "pgm-2, reach 1": _pgm(2, reach=1.0),
    "pgm-3": _pgm(3),
    "pgm-5": _pgm(5),
    "pgm-10": _pgm(10),
    "grad-l2l": _of(GRAD),
    "grad-l2l, reach 1": _of(GRAD, reach=1.0),
    "grad-l2l, reach 1, batch maximum": _of(GRAD, reach=1.0, attacker_gradient="batch-max"),
    "grad-l2l, reach 1, raw gradient": _of(GRAD, reach=1.0, attacker_gradient="raw"),
    "grad-l2l, random start": _of(GRAD, attacker_start="uniform"),
    "grad-l2l, correction of FGSM-RS": _of(GRAD, attacker_base=1.25, attacker_scale=0.25, attacker_start="uniform"),
    "2-step-l2l": _of(TWO),
    "2-step-l2l, reach 1": _of(TWO, reach=1.0),
    "2-step-l2l, batch norm train": _of(TWO, attacker_norm="train"),
    "2-step-l2l, skip": _of(TWO, attacker="small", attacker_skip=True),
    "2-step-l2l, random start": _of(TWO, attacker_start="uniform"),
    "2-step-l2l, attacker rate 1e-2": _of(TWO, attacker_lr=1e-2),
    "2-step-l2l, leader first": _of(TWO, play="leader-first"),
    "2-step-l2l, correction of PGM-2": _of(TWO, attacker_base=0.75, attacker_scale=0.25, attacker_start="uniform"),
    "3-step-l2l": _of("k-step-l2l"),
    "warm-l2l": _of(WARM),
    "warm-l2l, reach 1": _of(WARM, reach=1.0),
    "warm-l2l, correction 0.5": _of(WARM, attacker_scale=0.5),
    "warm-l2l, attacker rate 1e-2": _of(WARM, attacker_lr=1e-2),
    "warm-l2l, width 16, two layers": _of(WARM, attacker="small"),
    "teacher-l2l": _of(TEACHER),
    "teacher-l2l, no step by hand": _of(TEACHER, **ALONE),
    "teacher-l2l, no step by hand, attacker rate 1e-2": _of(TEACHER, **ALONE, attacker_lr=1e-2),
    "teacher-l2l, no step by hand, a lesson every step": _of(TEACHER, **ALONE, teacher_every=1),
    "trades-10": _of("trades"),
    "trades-3": _of("trades", pgm_steps=3, pgm_step=0.75),
    "stability": _of("stability"),
    "ait": AIT,
    "ait-grad-l2l": replace(AIT, method="grad-l2l"),
}


def measure(name: str, config: VisionConfig) -> dict[str, object]:
    torch.set_num_threads(1)
    training = train(config, progress=False)
    (attack,) = attacks_for(training, ("PGM-100+CW-100",), config.eps)
    (result,) = evaluate(training.model, training.split.validation, [attack])
    return {"name": name, "seed": config.seed, "clean": result.clean, "robust": result.robust, "n": result.n}


def spread(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{100 * statistics.mean(values):.1f} ± {100 * error:.1f}"


def main(
    seeds: tuple[int, ...] = (100, 101, 102),
    only: tuple[str, ...] = (),
    workers: int = 2,
    out: Path = Path("runs/digits_variants.jsonl"),
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    chosen = {name: config for name, config in VARIANTS.items() if not only or name in only}
    done = {(row["name"], row["seed"]) for row in rows}
    missing = [(name, seed) for seed in seeds for name in chosen if (name, seed) not in done]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(measure, name, replace(chosen[name], seed=seed)) for name, seed in missing]
        for future in as_completed(waiting):
            rows.append(future.result())
            with out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print("| variant | seeds | clean % | robust % |\n|---|---|---|---|")
    for name in chosen:
        found = [row for row in rows if row["name"] == name and row["seed"] in seeds]
        clean, robust = ([float(row[key]) for row in found] for key in ("clean", "robust"))
        print(f"| {name} | {len(found)} | {spread(clean)} | {spread(robust)} |")


if __name__ == "__main__":
    tyro.cli(main)
