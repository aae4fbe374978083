"""Whole configurations by name."""

from __future__ import annotations

from dataclasses import replace

from tasks.vision.config import DROConfig

DIGITS = DROConfig(method="warm-l2l", reach=1.25, warmup=0.1)
"""Small images on a CPU, as a study on held-out data found best: attacks that begin where the last on the same image
ended, within 1.25 ε, with a small learned correction. The documentation's page on robust digits has the study."""

PAPER = DROConfig(
    eps=0.031,
    model="wide-resnet",
    width=10,
    depth=34,
    epochs=100,
    batch_size=128,
    lr=0.1,
    momentum=0.9,
    weight_decay=2e-4,
    schedule="steps",
    milestones=(30, 60, 90),
    decay=0.1,
    pgm_steps=10,
    pgm_step=0.007 / 0.031,
    attacker="wide",
    attacker_gradient="raw",
    attacker_lr=1e-3,
    attacker_betas=(0.9, 0.999),
    attacker_weight_decay=2e-4,
    attacker_norm="train",
    play="leader-first-same-answer",
    k_scale=0.007 / 0.031,
)
"""Jiang et al. 2021, section 4, Table 1 and Algorithm 3. Where the text is silent (the batch size, the batch-norm mode,
the k-step attacker), as in its code."""

CODE = replace(
    PAPER,
    epochs=76,
    pgm_step=0.003 / 0.031,
    pgm_start="gaussian",
    pgm_start_size=0.001 / 0.031,
    pgm_beta=1.0,
    attacker="wide-code",
    attacker_gradient="batch-max",
    play="leader-first",
)
"""The authors' public code where it differs from the paper: another attacker, the gradient over the batch's largest
entry, images made anew for the attacker's turn, 76 epochs, and a PGM that learns the clean images too."""

PRESETS: dict[str, DROConfig] = {"digits": DIGITS, "paper": PAPER, "code": CODE}
"""Presets by name. They differ in how to train; the data set is the user's choice."""

DEFAULT = "digits"
"""The preset that the command line begins with."""
