"""Whether something fits into memory, asked before it is built."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bilevel.errors import ConfigurationError

_GIB = 2**30


def available_memory() -> int | None:
    """Return how many bytes this process may still take without swapping; ``None`` where the system does not tell.

    It is the least of what the machine has left and of what the limit of a container leaves (Linux); elsewhere the free
    pages, if they are known.
    """
    found = [_of_machine(), _of_container()]
    known = [one for one in found if one is not None]
    return min(known) if known else None


def require_memory(needed: int, what: str, advice: Callable[[int], str]) -> None:
    """Raise unless ``needed`` bytes can be had.

    Args:
        needed: bytes.
        what: what they are for.
        advice: what to do instead, of the bytes that are left.

    Raises:
        ConfigurationError: if less memory is left, with both numbers.
    """
    left = available_memory()
    if left is not None and needed > left:
        raise ConfigurationError(
            f"{what} needs {needed / _GIB:.1f} GiB of memory, and {left / _GIB:.1f} GiB are left. {advice(left)}"
        )


def _of_machine(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what a control group's limit leaves; pages that only cache files can be had back, and count as left."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text())
        entries = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, int(limit) - used + int(entries.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
