"""What is said where AutoAttack was not run."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.report.methods import AUTO_ATTACK, Method, Setting


def without_auto_attack(setting: Setting) -> list[Method]:
    """Return the methods that did not meet AutoAttack, of those that can: `bilevel evaluate` takes classifiers only."""
    if setting.task not in {"dro", "ait"}:
        return []
    return [method for method in setting.methods if AUTO_ATTACK not in method.attacks]


def upper_bounds(missing: Sequence[Method], *, named: bool) -> str:
    """Return a sentence or two: that AutoAttack was not run, how to run it, and what the numbers are without it.

    Args:
        missing: the methods that did not meet it, one at least.
        named: whether they are named.
    """
    names = [method.name for method in missing]
    whose = " on " + (", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]) if named else ""
    return (
        f"AutoAttack was not run{whose}, so that accuracies under attack are upper bounds: "
        f"bilevel evaluate {missing[0].folder or 'RUN'} --attacks AutoAttack (pip install 'bilevel[eval]')."
    )
