"""What an evaluation has found so far, kept so that a second call goes on where the first was stopped."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from tasks.run_files import RunError, reason
from tasks.vision.attacks.digest import digest
from tasks.vision.data import Images


@final
class Journal:
    """A file to which each batch adds a line as soon as it is done.

    A line holds which images of the batch stood against an attack, under a key made of the classifier's weights, the
    images, the attack and the batch: another classifier or attack, or other images, find nothing. `finish` removes the
    file, or lets another have its lines. A line that was cut off, by a kill or a full disk, is not read.

    Args:
        path: the file; it need not exist.

    Raises:
        RunError: if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[str, list[str]] = {}
        try:
            for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
                self._read(line)
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{path} cannot be read: {reason(error)}; remove it to evaluate anew") from error

    def subject(self, model: nn.Module, images: Images) -> str:
        """Return a text for a classifier and images."""
        return digest(model, images.pixels, images.labels, f"{images.levels}")

    def key(self, subject: str, attack: str, indices: Int[Tensor, " k"]) -> str:
        """Return the key of an attack on a batch."""
        return digest(subject, attack, indices)

    def find(self, key: str, device: torch.device) -> Bool[Tensor, "versions k"] | None:
        """Return what was kept under a key, if anything."""
        rows = self._lines.get(key)
        return None if rows is None else torch.tensor([[c == "1" for c in row] for row in rows], device=device)

    def keep(self, key: str, stands: Bool[Tensor, "versions k"]) -> None:
        """Write down what a batch gave; it is on the disk when this returns.

        Raises:
            RunError: if it cannot be written.
        """
        rows = ["".join("1" if one else "0" for one in row) for row in stands.tolist()]
        self._lines[key] = rows
        content = json.dumps([key, rows])
        try:
            # The line break before it closes a line that was cut off.
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"\n{_sum(content)} {content}")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {reason(error)}; what was done before is kept") from error

    def finish(self, archive: Path | None = None) -> None:
        """Remove the file: the evaluation is done, and its results are elsewhere.

        Args:
            archive: a file to which its lines are added, for those who ask for the same attacks; ``None`` for none.

        Raises:
            RunError: if they cannot be added.
        """
        try:
            if archive is not None and self.path.is_file():
                with archive.open("ab") as file:
                    file.write(self.path.read_bytes())
        except OSError as error:
            raise RunError(f"cannot write {archive}: {reason(error)}; what was done before is kept") from error
        self.path.unlink(missing_ok=True)
        self._lines.clear()

    def _read(self, line: str) -> None:
        total, _, content = line.partition(" ")
        if content and total == _sum(content):
            key, rows = json.loads(content)
            self._lines[key] = rows


def _sum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:8]
