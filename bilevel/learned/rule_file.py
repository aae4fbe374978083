"""A trained rule as a file: its weights in safetensors, with what it is made of beside them as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from bilevel.errors import ConfigurationError, NonFiniteError, RuleFileError
from bilevel.learned.description import build, describe
from bilevel.learned.optimizer import RuleOptimizer
from bilevel.rules.module import ModuleRule

FORMAT: Final = "bilevel rule"
VERSION: Final = 1


@final
@dataclass(frozen=True)
class SavedRule:
    """A rule that was read from a file.

    Attributes:
        rule: the rule, in evaluation mode and on the CPU, in the precision in which it was saved.
        about: what was written beside it.
    """

    rule: ModuleRule
    about: dict[str, Any]

    def as_optimizer(self, target: nn.Module | Iterable[Any], lr: float = 1.0) -> RuleOptimizer:
        """Return the rule as a plain ``torch.optim.Optimizer``.

        Args:
            target: a model, whose parameters have names then, or what every torch optimizer takes: parameters, pairs of
                a name and a parameter, or param groups.
            lr: what the updates are multiplied by, where a group does not say otherwise; at least 0.

        Raises:
            ConfigurationError: if the parameters do not fit the rule.
        """
        return RuleOptimizer(target, self.rule, lr=lr)


def save(rule: ModuleRule, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a rule to one file, which `load` reads without any other object, and without pickle.

    Args:
        rule: a learned rule, or one made of such rules. A class of your own has a property ``settings``.
        path: the file, by habit with the ending ``.safetensors``; it holds either what it held before or all of it.
        about: whatever else is worth knowing (how it was trained, on what), as values that JSON has.

    Raises:
        ConfigurationError: if the rule or ``about`` cannot be written down as plain values.
        NonFiniteError: if a weight is infinite or not a number; a file there stays as it is.
        RuleFileError: if the file cannot be written.
    """
    safetensors, path = _safetensors(), Path(path)
    if not isinstance(rule, ModuleRule):
        raise ConfigurationError(
            f"save writes learned rules (bilevel.learned) and rules made of them, and got {type(rule).__name__}, "
            "which has no weights to keep."
        )
    state = rule.state_dict()
    if notes := [name for name, value in state.items() if not isinstance(value, Tensor)]:
        raise ConfigurationError(
            f"{type(rule).__name__} keeps more than weights ({', '.join(notes)}), which a rule's file does not hold: "
            "save the rule within it, of Watched its .rule."
        )
    weights = {name: t.detach().cpu().clone().contiguous() for name, t in state.items()}
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise NonFiniteError(
                f"{type(rule).__name__} was not saved: its weight {name} has entries that are not finite. Save the "
                "last rule that was good."
            )
    try:
        metadata = {"rule": json.dumps(describe(rule)), "about": json.dumps(dict(about or {}))}
    except TypeError as error:
        raise ConfigurationError(f"about holds plain values only (what JSON has): {error}.") from error
    checksum = _checksum(weights, metadata)
    content = safetensors.torch.save(
        weights, {"format": FORMAT, "version": str(VERSION), "sha256": checksum, **metadata}
    )
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise RuleFileError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def load(path: str | Path, known: Sequence[Callable[..., Any]] = ()) -> SavedRule:
    """Return the rule that `save` wrote.

    Args:
        path: the file.
        known: classes and functions of your own that the rule is made of; all of the library's are known.

    Raises:
        RuleFileError: if there is no such file, or it is damaged, of another version or none of ours, or names
            something unknown.
        ConfigurationError: if safetensors is not installed.

    Examples:
        >>> save(LSTM(hidden=4), path, about={"steps": 100})
        >>> load(path).about
        {'steps': 100}
    """
    safetensors, path = _safetensors(), Path(path)
    metadata, weights = _read(path, safetensors)
    if metadata.get("format") != FORMAT:
        raise RuleFileError(f"{path} is a safetensors file, but no rule: bilevel.learned.save did not write it.")
    if metadata.get("version") != str(VERSION):
        raise RuleFileError(
            f"{path} has format version {metadata.get('version')}; this version of bilevel reads version {VERSION}. "
            "Save the rule again with this version, or read the file with the one that wrote it."
        )
    texts = {name: metadata.get(name, "") for name in ("rule", "about")}
    if _checksum(weights, texts) != metadata.get("sha256"):
        raise RuleFileError(f"{path} is damaged: its checksum is wrong. Take another copy.")
    try:
        with torch.device("meta"):  # no memory, and no random numbers, for weights that are replaced at once
            rule = build(json.loads(texts["rule"]), known)
        rule.load_state_dict(weights, assign=True)
    except RuleFileError as error:
        raise RuleFileError(f"{path} cannot be loaded. {error}") from error
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:  # of constructors, and of weights
        raise RuleFileError(f"{path} does not fit what it says that it is: {error}") from error
    if not isinstance(rule, ModuleRule):
        raise RuleFileError(f"{path} describes no rule, but {type(rule).__name__}.")
    return SavedRule(rule.eval(), json.loads(texts["about"]))


def _read(path: Path, safetensors: ModuleType) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise RuleFileError(f"There is no file {path}: name one that bilevel.learned.save wrote.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            # Clones: what the reader gives are windows of the file, which may be overwritten.
            weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
            return file.metadata() or {}, weights
    except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise RuleFileError(f"{path} is damaged, cut short or no file of a rule: {error}") from error


def _checksum(weights: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """Return the SHA-256 of everything that the file says, which safetensors itself does not check."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update(f"{name} {text}\n".encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _safetensors() -> ModuleType:
    try:
        import safetensors.torch  # noqa: PLC0415 -- an optional extra
    except ImportError as error:
        raise ConfigurationError(
            "Files of rules need safetensors, which is not installed: pip install 'bilevel[vision]'"
        ) from error
    return safetensors
