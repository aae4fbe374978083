"""The code that the README and the guides show is run as it stands, top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torchopt

import bilevel

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_the_code_of_a_page_runs(page, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)  # what a snippet saves does not land in the repository
    names: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
    assert len(names) > 2


def test_the_readmes_first_task_learns_and_its_swaps_are_one_argument_each():
    names: dict[str, object] = {"bilevel": bilevel, "torchopt": torchopt, "torch": torch}
    for block in blocks("README.md"):
        exec(block, names)
    rows = re.findall(r"^\| [^|`]+ \| `([a-z_]+=[^|]+)` \|$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert len(rows) >= 6
    for row in rows:
        model, rule = torch.nn.Linear(8, 1), bilevel.learned.MLP(8)
        names |= {"rule": rule, "model": model}
        changed = eval(f"dict({row})", names)
        chosen = changed.get("rule", rule)
        learns = isinstance(chosen, torch.nn.Module)
        arguments = {
            "rule": rule,
            "steps": 2,
            "leader_optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
            "rule_optimizer": torch.optim.Adam(chosen.parameters(), lr=1e-3) if learns else None,
        } | changed
        solver = bilevel.Solver(names["RobustRegression"](model, radius=0.1), **arguments)
        losses = [solver.step(names["batch"]).values()["leader_loss"] for _ in range(30)]
        assert losses[-1] < 0.7 * losses[0], row


def test_the_readmes_commands_are_there():
    from tasks import cli

    text = (ROOT / "README.md").read_text()
    shown = set(re.findall(r"^bilevel (\w+)", text, flags=re.MULTILINE))
    assert shown == {"train", "resume", "evaluate", "reproduce", "report"}
    assert shown <= set(cli.COMMANDS)
