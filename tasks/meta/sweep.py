"""The parts of a study, some at a time, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

from tasks.events import Channel, Reporter
from tasks.meta.compare import Comparison
from tasks.meta.config import MetaConfig
from tasks.run import Run
from tasks.settings import to_dict

RULE = "rule.safetensors"
"""The name of a trained rule's file in its folder."""


def train_rule(config: MetaConfig, name: str, folder: Path, events: Channel) -> bool:
    """Train a rule, in a process of its own; one that is there already is not trained again."""
    from bilevel.learned import save
    from tasks.meta.train import train

    part = Run(folder, {}).part_run(name, {"task": "meta", **to_dict(config)})
    if part.results():
        return True
    hint = f"bilevel resume {folder}"
    training = train(config, part.path, resume=True, progress=Reporter(name, events), title=name, resume_hint=hint)
    save(training.rule, part.path / RULE, about=to_dict(config))
    seconds = training.fitted.seconds if training.fitted else None
    record = {"task": "meta", "data": config.data, "method": name, "seed": config.seed, "training_seconds": seconds}
    part.append_results([record])
    return True


def compare_rules(comparison: Comparison, rules: dict[str, str], name: str, folder: Path, events: Channel) -> bool:
    """Compare rules, in a process of its own.

    Args:
        comparison: on what.
        rules: for each method the part that has its rule.
        name: the comparison's own part.
        folder: the run's folder.
        events: takes how far it is.
    """
    import torch

    from bilevel.learned import load

    torch.set_num_threads(comparison.config.threads or torch.get_num_threads())
    run = Run(folder, {})
    part = run.part_run(name, {"task": "meta", **to_dict(comparison.config)})
    trained = {method: load(run.part(place) / RULE).rule for method, place in rules.items()}
    begun = False

    def tell(done: int, total: int) -> None:
        nonlocal begun
        events.put((name, "step" if begun else "begin", {"done": done, "steps": total}))
        begun = True

    comparison.run(part, trained, tell)
    return True
