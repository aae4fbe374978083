"""The command line, ``bilevel`` or ``python -m tasks``."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True)
class Entry:
    """A command: what it does, and where its class is, which is imported only when it is asked for."""

    what: str
    module: str
    name: str


COMMANDS: dict[str, Entry | Mapping[str, Entry]] = {
    "demo": Entry("train and compare every defence on small images, and leave a report", "demo", "Demo"),
    "train": {
        "dro": Entry("a classifier that withstands perturbed images", "train_dro", "TrainDRO"),
        "ait": Entry("a classifier on images that move by one another", "train_ait", "TrainAIT"),
        "cleaning": Entry("find the training samples with a wrong label", "train_cleaning", "TrainCleaning"),
        "gail": Entry("imitate an expert, with a discriminator that is moved by any rule", "train_gail", "TrainGAIL"),
        "gail-expert": Entry("an expert to imitate, and its demonstrations", "train_gail_expert", "TrainGAILExpert"),
        "meta": Entry("a rule that learns to train classifiers robustly", "train_meta", "TrainMeta"),
        "toy": Entry("small games, played in several ways", "train_toy", "TrainToy"),
        "toy-rule": Entry("a rule that learns to play small games", "train_toy_rule", "TrainToyRule"),
    },
    "resume": Entry("go on with a run that was stopped, to the same weights as an unbroken one", "resume", "Resume"),
    "evaluate": Entry("attack a trained classifier, or let a policy that imitates play", "evaluate", "Evaluate"),
    "reproduce": Entry("a table or figure of the papers, beside the papers' own numbers", "reproduce", "Reproduce"),
    "report": Entry("tables and plots of one or many runs", "report", "Report"),
}
"""What there is, in the order of use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    It is 0 when all is done, 2 for an error of use, 1 for another, 130 after Ctrl-C and 143 after SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    entry: Entry | Mapping[str, Entry | Mapping[str, Entry]] = COMMANDS
    path: list[str] = []
    while not isinstance(entry, Entry):
        if not words or words[0] in {"-h", "--help"}:
            _overview(path, entry)
            return 0 if words or not path else 2
        if words[0] not in entry:
            what = f"bilevel {' '.join(path)}".strip()
            return _fail(f"{what} knows no {words[0]!r}. Known are: {', '.join(entry)}.", 2)
        path.append(words[0])
        entry = entry[words.pop(0)]
    return _run(entry, path, words)


def _run(entry: Entry, path: list[str], words: list[str]) -> int:
    try:
        import tyro
    except ImportError:
        return _fail("The command line needs an extra: pip install 'bilevel[vision]'.", 2)
    from bilevel.errors import BilevelError

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"bilevel: note: {message}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = note
            kind = getattr(importlib.import_module(f"tasks.commands.{entry.module}"), entry.name)
            command = tyro.cli(
                kind,
                prog=f"bilevel {' '.join(path)}",
                args=words,
                default=kind.default(words),
                config=(tyro.conf.OmitArgPrefixes,),
            )
            command.run()
    except (BilevelError, KeyboardInterrupt, OSError) as error:
        return _explain(error)
    return 0


def _explain(error: BaseException) -> int:
    """Say what went wrong, in a sentence, and return the exit status."""
    from bilevel.errors import ConfigurationError

    if isinstance(error, KeyboardInterrupt):
        return _fail(str(error) or "Stopped.", 128 + getattr(error, "signal", 2))
    if isinstance(error, BrokenPipeError):  # the output goes to a reader that has seen enough, such as head
        sys.stdout = None
        return 0
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"A file cannot be read or written: {where}{error.strerror or error}.", 1)
    return _fail(str(error), 2 if isinstance(error, ConfigurationError) else 1)


def _overview(path: list[str], entries: Mapping[str, Entry | Mapping[str, Entry]]) -> None:
    if not path:
        print("bilevel: bilevel and minimax optimization where the follower is solved by a learned optimizer\n")
    rows: dict[str, str] = {}
    for name, entry in entries.items():
        inner = {"": entry} if isinstance(entry, Entry) else entry
        rows |= {" ".join(["bilevel", *path, name, below]).strip(): one.what for below, one in inner.items()}
    width = max(map(len, rows))
    for name, what in rows.items():
        print(f"  {name:{width}}  {what}")
    print("\nEach has --help.")


def _fail(message: str, status: int) -> int:
    print(f"bilevel: {message}", file=sys.stderr)
    return status
