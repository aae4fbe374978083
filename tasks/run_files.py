"""The files of a run folder: written whole or not at all, read with an error that says what is wrong."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bilevel.errors import BilevelError, ConfigurationError


class RunError(BilevelError):
    """A run folder could not be made, written or read."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, make sure that it is on the disk, and move it there.

    Raises:
        RunError: if it cannot be written, for example on a full disk. What was there before is untouched.
    """
    raw = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {reason(error)}; what was there before is untouched") from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a list of flat records from a JSON file; none if there is no such file.

    Raises:
        RunError: if it cannot be read. A damaged file is kept aside under the name ``<name>.damaged``.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{path} cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise _damaged(path, reason(error)) from error
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise _damaged(path, "it is not a list of records")
    return content


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write flat records as JSON, one a line.

    Raises:
        RunError: if the file cannot be written.
    """
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records)
    write_atomically(path, f"[\n{lines}\n]\n")


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration from a YAML file.

    Raises:
        RunError: if it cannot be read, or does not hold settings by name.
    """
    yaml = _yaml()
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"{path} cannot be read: {reason(error)}; mend the file, or start the run anew") from error
    if not isinstance(config, dict):
        raise RunError(f"{path} holds no settings ('name: value' lines); mend the file, or start the run anew")
    return config


def write_config(path: Path, config: dict[str, Any]) -> None:
    """Write a configuration of plain values (see `plain`) as YAML.

    Raises:
        RunError: if the file cannot be written.
    """
    write_atomically(path, _yaml().safe_dump(config, sort_keys=False, allow_unicode=True))


def plain(value: Any, name: str) -> Any:
    """Return a setting in the types that YAML's safe writer knows: tuples become lists, paths become texts.

    Raises:
        ConfigurationError: if a value is of another type; ``name`` says whose.
    """
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, name) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise ConfigurationError(
        f"the setting {name} is a {type(value).__name__}, which a run's configuration cannot hold; "
        "use numbers, texts, lists and mappings"
    )


def flat(record: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return a copy of a record after checking that its fields are finite numbers, texts or ``None``.

    Raises:
        ConfigurationError: if a field is not; ``file`` says where the record was to go.
    """
    for field, value in record.items():
        if value is not None and type(value) not in {bool, int, float, str}:
            raise ConfigurationError(
                f"a record for {file} has {field} = {value!r} ({type(value).__name__}); "
                "a record's fields are numbers, texts or None"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"a record for {file} has {field} = {value}; a result must be finite, or None")
    return dict(record)


def reason(error: Exception) -> str:
    """Say in one line why a file operation failed."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split())


def _damaged(path: Path, why: str) -> RunError:
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError:
        return RunError(f"{path} is damaged ({why}); it is left as it is")
    return RunError(
        f"{path} is damaged ({why}); it is kept as {aside.name}. `bilevel evaluate {path.parent}` makes a new one"
    )


def _yaml() -> Any:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise RunError("run folders need pyyaml, of the extra 'vision': pip install 'bilevel[vision]'") from error
    return yaml
